"""The ledger file: what was given out, kept in the state directory across restarts.

Invariant: the file on disk is always a whole ledger, old or new, and never
replaced by an empty one because it could not be read; one process at a time holds the directory.
"""

import fcntl
import os
from types import TracebackType
from typing import Self

import msgspec

from proxy.cluster.ledger import Ledger
from proxy.replacement import Replacement
from proxy.startup_error import StartupError

_VERSION = 1
_WAY_OUT = "restore it from a backup, or move it away to have every address given anew"


class _Versioned(msgspec.Struct, frozen=True):
    version: int


class _Saved(msgspec.Struct, frozen=True):
    version: int
    ledger: Ledger


class LedgerFile:
    """The ledger in one state directory, held from construction to `close`.

    Raises StartupError if the directory cannot be made or another process holds it.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "ledger.json")
        self._lock = _lock(directory)

    def load(self) -> Ledger:
        """What was saved last; an empty ledger if there is none. Raises StartupError for what is not a ledger."""
        try:
            with open(self.path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return Ledger()
        except OSError as error:
            raise StartupError(f"{self.path}: cannot be read: {error.strerror}") from error
        try:
            version = msgspec.json.decode(content, type=_Versioned).version
            if version != _VERSION:
                message = f"{self.path}: has version {version}, this svcproxy knows {_VERSION}: use the newer svcproxy"
                raise StartupError(f"{message}, or another directory with --state-dir")
            return msgspec.json.decode(content, type=_Saved).ledger
        except msgspec.MsgspecError as error:
            raise StartupError(f"{self.path}: is damaged ({error}): {_WAY_OUT}") from error

    def save(self, ledger: Ledger) -> None:
        """Replace the file by this ledger; it is on disk when this returns. Raises OSError."""
        content = msgspec.json.format(msgspec.json.encode(_Saved(_VERSION, ledger)))
        with Replacement(self.path) as replacement:
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


def _lock(directory: str) -> int:
    """Make the directory and lock it; the descriptor that holds the lock."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
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
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor
