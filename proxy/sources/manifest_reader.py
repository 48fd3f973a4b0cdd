"""The manifest reader: keeps up with the files below some directories, opening only those that changed.

Imports `model` and this room; blocks on files, so it belongs in a thread, one call at a time. Invariant: a file is
taken once it has been left alone for a moment, so a file that is being written is not mistaken for a finished one,
and a later version is never mistaken for the one that was read (file times are as coarse as the kernel's tick).
"""

import time
from collections.abc import Callable, Iterable

import msgspec

from proxy.model.problem import Problem
from proxy.sources.manifest_file import ManifestFile, parse_manifest, unusable
from proxy.sources.manifest_scan import Scan, Signature, scan

SETTLED_NANOSECONDS = 20_000_000


class Reading(msgspec.Struct, frozen=True):
    """What is new since the last reading. `faults` is the complete current list; `directories` is what to watch.

    `unsettled` says that a file is being written: nothing else was looked at, and it is to be tried again soon.
    """

    files: tuple[ManifestFile, ...] = ()
    deleted: tuple[str, ...] = ()
    faults: tuple[Problem, ...] = ()
    directories: dict[str, tuple[int, int]] = {}
    unsettled: bool = False


class ManifestReader:
    """Remembers what it read, by file. `clock` is the time that files are stamped with, in nanoseconds."""

    def __init__(self, roots: Iterable[str], clock: Callable[[], int] = time.time_ns) -> None:
        self._roots = tuple(roots)
        self._clock = clock
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
        files = []
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
        """The new version of a file, or None if it is gone again: the next scan tells of that, or of it."""
        previous = self._files.get(path)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            parsed = unusable(path, f"cannot be read: {error.strerror}")
        else:
            parsed = parse_manifest(path, content, previous)
        self._files[path] = parsed
        return parsed

    def _delete_missing(self, found: Scan) -> list[str]:
        missing = [path for path in self._signatures if path not in found.files and not found.is_hidden_by_fault(path)]
        for path in missing:
            del self._signatures[path]
            self._files.pop(path, None)
        return missing
