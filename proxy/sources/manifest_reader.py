"""The manifest reader: keeps up with the files below some directories, opening only those that changed.

ManifestReader blocks on files, so it belongs in a thread, one call at a time. Invariants: a file is taken once it has
been left alone for a moment, so a file that is being written is not mistaken for a finished one. A later version is
never mistaken for the one that was read (file times are as coarse as the kernel's tick). Whatever a file holds is a
problem of that file.
"""

import asyncio
import logging
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from proxy.model.problem import Problem
from proxy.sources.directory_watch import DirectoryWatch
from proxy.sources.manifest_file import ManifestFile, parse_manifest, unusable
from proxy.sources.manifest_scan import NO_REGULAR_FILE, Scan, Signature, scan

SETTLED_NANOSECONDS = 20_000_000
MOST_BYTES = 64 * 1024 * 1024
_ATTEMPTS_TO_SETTLE = 5

_log = logging.getLogger(__name__)


class Reading(msgspec.Struct, frozen=True):
    """What is new since the last reading. `faults` is the complete current list; `directories` is what to watch.

    `unsettled` says that a file is being written: nothing else was looked at, and it is to be tried again soon.
    """

    files: tuple[ManifestFile, ...] = ()
    deleted: tuple[str, ...] = ()
    faults: tuple[Problem, ...] = ()
    directories: dict[str, tuple[int, int]] = {}
    unsettled: bool = False


class _UnusableFileError(Exception):
    """Its text says why the file is not read."""


class ManifestReader:
    """Remembers what it read, by file. A file may have `most_bytes`. `given` was read by others, and is part of the
    first reading. `clock` is the time that files are stamped with, in nanoseconds."""

    def __init__(
        self,
        roots: Iterable[str],
        clock: Callable[[], int] = time.time_ns,
        most_bytes: int = MOST_BYTES,
        given: Iterable[ManifestFile] = (),
    ) -> None:
        self._roots = tuple(roots)
        self._most_bytes = most_bytes
        self._clock = clock
        self._given = tuple(given)
        self._files: dict[str, ManifestFile] = {}
        self._signatures: dict[str, Signature | None] = {}

    def forget_signatures(self) -> None:
        """Open every file again at the next reading."""
        self._signatures = dict.fromkeys(self._signatures)

    def read(self, *, patient: bool = True) -> Reading:
        """Read what changed; if `patient`, not while one of the changed files is being written."""
        found = scan(self._roots)
        changed = {path: now for path, now in found.files.items() if self._signatures.get(path) != now}
        present = self._clock()
        unsettled = {path for path, now in changed.items() if 0 <= present - now.modified < SETTLED_NANOSECONDS}
        if unsettled and patient:
            return Reading(unsettled=True)
        files, self._given = [*self._given], ()
        for path, signature in changed.items():
            if (file := self._parse(path)) is not None:
                files.append(file)
                self._signatures[path] = None if path in unsettled else signature
        return Reading(
            files=tuple(files),
            deleted=tuple(self._delete_missing(found)),
            faults=tuple(Problem(message, where=path) for path, message in sorted(found.faults.items())),
            directories=found.directories,
        )

    def _parse(self, path: str) -> ManifestFile | None:
        """The new version of a file, or None if it is gone again, which the next scan reports."""
        previous = self._files.get(path)
        try:
            parsed = parse_manifest(path, self._content(path), previous)
        except FileNotFoundError:
            return None
        except OSError as error:
            parsed = unusable(path, f"cannot be read: {error.strerror}")
        except _UnusableFileError as error:
            parsed = unusable(path, str(error))
        except Exception:
            # This is a defect of ours, but it must not end the reading of other files.
            _log.exception(f"{path}: cannot be read")
            parsed = unusable(path, "cannot be read because of a defect in svcproxy, which the log describes")
        self._files[path] = parsed
        return parsed

    def _content(self, path: str) -> bytes:
        """What a regular file holds. Raises OSError, and _UnusableFileError for what is no such file or too large."""
        # Opening a pipe waits for a writer, and a device may do anything.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _UnusableFileError(NO_REGULAR_FILE)
            content = b"" if status.st_size > self._most_bytes else file.read(self._most_bytes + 1)
        if max(status.st_size, len(content)) > self._most_bytes:
            raise _UnusableFileError(f"is larger than {self._most_bytes:,} bytes: split it, or raise manifestBytes")
        return content

    def _delete_missing(self, found: Scan) -> list[str]:
        missing = [path for path in self._signatures if path not in found.files and not found.is_hidden_by_fault(path)]
        for path in missing:
            del self._signatures[path]
            self._files.pop(path, None)
        return missing


class ManifestReadings:
    """One reading after the other, each when there may be something new: `read`, then `wait`, both of one task.

    Reading blocks no event loop, and a file that is being written is waited for in bounded time.
    """

    def __init__(self, paths: Sequence[str], most_bytes: int = MOST_BYTES, given: Sequence[ManifestFile] = ()) -> None:
        self._paths = tuple(paths)
        self._reader = ManifestReader(paths, most_bytes=most_bytes, given=given)
        self._watch = DirectoryWatch(paths)
        self._found: dict[str, tuple[int, int]] = {}
        self._reread_all = False

    def reread(self) -> None:
        """Let `wait` return, and the next `read` open every file again."""
        self._reread_all = True
        self._watch.wake()

    async def read(self) -> Reading:
        """What is new since the last reading."""
        if self._reread_all:
            self._reread_all = False
            self._reader.forget_signatures()
        reading = await self._settled()
        self._found = reading.directories
        return reading

    async def wait(self) -> None:
        """Return when something may have changed."""
        if not self._watch.follow(self._found):
            await self._watch.wait()

    def problems(self) -> tuple[Problem, ...]:
        """Why changes are not noticed at once, if they are not."""
        fault = self._watch.fault
        return tuple(Problem(fault, where=path) for path in self._paths if fault)

    def close(self) -> None:
        """Stop watching."""
        self._watch.close()

    async def _settled(self) -> Reading:
        for _ in range(_ATTEMPTS_TO_SETTLE):
            reading = await asyncio.to_thread(self._reader.read)
            if not reading.unsettled:
                return reading
            await asyncio.sleep(SETTLED_NANOSECONDS / 1e9)
        return await asyncio.to_thread(self._reader.read, patient=False)
