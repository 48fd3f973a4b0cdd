"""The ledger file: what was given out, kept in the state directory across restarts.

Invariant: the file on disk is always a whole ledger, old or new, with a checksum and a copy beside it. It is never
replaced by an empty one because it could not be read. One process at a time holds the directory.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
from types import TracebackType
from typing import Self

import msgspec

from proxy.cluster.ledger import Ledger
from proxy.replacement import Replacement
from proxy.startup_error import StartupError
from proxy.state_directory import prepare_state_directory, set_aside

_VERSION = 1
_WAY_OUT = "restore it from a backup, or move it away to have every address given anew"

_log = logging.getLogger(__name__)


class _Versioned(msgspec.Struct, frozen=True):
    version: int


class _Saved(msgspec.Struct, frozen=True):
    """`checksum` is None in a file of a version that wrote none."""

    version: int
    ledger: Ledger
    checksum: str | None = None


class _DamagedError(Exception):
    """The file is no ledger; the text says why."""


class LedgerFile:
    """The ledger in one state directory, held from construction to `close`.

    Raises StartupError if the directory cannot be made, is not safe, or another process holds it.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "ledger.json")
        self._copy = f"{self.path}.copy"
        prepare_state_directory(directory)
        self._lock = _lock(directory)

    def load(self) -> Ledger:
        """What was saved last, from the copy where the file is damaged; an empty ledger if there is none. Raises
        StartupError for what is not a ledger."""
        try:
            found = _read(self.path)
        except _DamagedError as error:
            return self._restored(error)
        return Ledger() if found is None else found

    def save(self, ledger: Ledger) -> None:
        """Replace the file by this ledger; it is on disk when this returns. Raises OSError."""
        saved = _Saved(_VERSION, ledger, _checksum(ledger))
        content = msgspec.json.format(msgspec.json.encode(saved))
        for path in (self.path, self._copy):
            with Replacement(path) as replacement:
                replacement.file.write(content)
                replacement.finish()

    def close(self) -> None:
        """Let another process have the directory."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _restored(self, damage: _DamagedError) -> Ledger:
        try:
            copy = _read(self._copy)
        except _DamagedError:
            copy = None
        if copy is None:
            raise StartupError(f"{self.path}: is damaged ({damage}): {_WAY_OUT}") from damage
        try:
            aside = set_aside(self.path)
            self.save(copy)
        except OSError as error:
            message = f"{self.path}: is damaged ({damage}), and cannot be replaced: {error.strerror}"
            raise StartupError(f"{message}: make room, or choose another directory with --state-dir") from error
        _log.warning(f"{self.path}: is damaged ({damage}): set aside as {aside}, and the last good copy is used")
        return copy


def _read(path: str) -> Ledger | None:
    """The ledger in a file, None where there is none. Raises _DamagedError, StartupError where it is not damage."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartupError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        version = msgspec.json.decode(content, type=_Versioned).version
        if version != _VERSION:
            message = f"{path}: has version {version}, this svcproxy knows {_VERSION}: use the newer svcproxy"
            raise StartupError(f"{message}, or another directory with --state-dir")
        saved = msgspec.json.decode(content, type=_Saved)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _DamagedError(str(error)) from error
    if saved.checksum not in (None, _checksum(saved.ledger)):
        raise _DamagedError("its checksum is another")
    return saved.ledger


def _checksum(ledger: Ledger) -> str:
    return f"sha256:{hashlib.sha256(msgspec.json.encode(ledger, order='deterministic')).hexdigest()}"


def _lock(directory: str) -> int:
    """Lock the directory; the descriptor that holds the lock."""
    try:
        descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        message = f"state directory {directory} cannot be used: {error.strerror}"
        raise StartupError(f"{message}: choose another with --state-dir") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        message = f"state directory {directory} is in use by another svcproxy (pid {holder or 'unknown'})"
        raise StartupError(
            f"{message}: stop that one, or give this one a directory of its own with --state-dir"
        ) from error
    # Who holds it is for people, and no reason not to start on a full disk.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor
