"""The scan: which manifest files are there now, told apart from other versions of themselves without opening them.

Imports nothing of ours; reads directories, opens no file. Invariant: every file and every directory is seen once,
through however many links it can be reached, so links in circles end; hidden names are not looked at, which leaves
out editors' swap files and the `..data` directories of ConfigMap volumes (their files are seen through the links).
"""

import os
import stat
from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

import msgspec

_ATTEMPTS = 5
_SUFFIXES = (".yaml", ".yml", ".json")


class Signature(NamedTuple):
    """What differs between two versions of a file, times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Scan(msgspec.Struct, frozen=True):
    """`files` by path, sorted; `directories` is everything to watch, with (device, inode), so that a directory that
    was replaced is another one; `faults` is what could not be looked into, and why: what was below it is unknown."""

    files: dict[str, Signature]
    directories: dict[str, tuple[int, int]]
    faults: dict[str, str]

    def is_hidden_by_fault(self, path: str) -> bool:
        """Whether `path` may still exist although it was not found."""
        return any(path == fault or path.startswith(os.path.join(fault, "")) for fault in self.faults)


def scan(roots: Iterable[str]) -> Scan:
    """Look at every manifest file below `roots`, which are directories or files."""
    walk = _steady_walk(tuple(roots))
    seen: set[tuple[int, int]] = set()
    files: dict[str, Signature] = {}
    for path, signature in sorted(walk.files.items()):
        if signature[:2] not in seen:
            seen.add(signature[:2])
            files[path] = signature
    return Scan(files, walk.directories, walk.faults)


def _steady_walk(roots: tuple[str, ...]) -> "_Walk":
    """One during which no root went or was replaced, as far as that is to be had: what is missing below a root that is
    not there any more was not deleted."""
    for _ in range(_ATTEMPTS):
        before = [_identity(root) for root in roots]
        walk = _Walk(roots)
        for root in roots:
            walk.visit(root)
        if [_identity(root) for root in roots] == before:
            break
    return walk


class _Walk:
    def __init__(self, roots: tuple[str, ...]) -> None:
        self.roots = roots
        self.files: dict[str, Signature] = {}
        self.directories: dict[str, tuple[int, int]] = {}
        self.faults: dict[str, str] = {}
        self._visited: set[tuple[int, int]] = set()

    def visit(self, path: str) -> None:
        """Look at `path` and, if it is a directory, at everything below it."""
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                self._visit_directory(path, (status.st_dev, status.st_ino))
            elif stat.S_ISREG(status.st_mode):
                self._visit_file(path, status)
        except FileNotFoundError:
            self._visit_missing(path)
        except OSError as error:
            self.faults[path] = f"cannot be read: {error.strerror}"

    def _visit_missing(self, path: str) -> None:
        """A name that was listed and is gone now is a deletion like any other; a root or a broken link is a fault."""
        if os.path.islink(path):
            self.faults[path] = f"is a link to nothing ({os.readlink(path)})"
        elif path in self.roots:
            self.faults[path] = "does not exist any more: what it held stays in force until it is back"

    def _visit_directory(self, path: str, identity: tuple[int, int]) -> None:
        if identity in self._visited:
            return
        self._visited.add(identity)
        self.directories[path] = identity
        for entry in _visible(path):
            if entry.is_file(follow_symlinks=False):
                self._visit_plain(entry)
            else:
                self.visit(entry.path)

    def _visit_plain(self, entry: os.DirEntry[str]) -> None:
        """A file that is no link, as nearly all are: one system call."""
        try:
            self.files[entry.path] = _signature(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            self._visit_missing(entry.path)
        except OSError as error:
            self.faults[entry.path] = f"cannot be read: {error.strerror}"

    def _visit_file(self, path: str, status: os.stat_result) -> None:
        self.files[path] = _signature(status)
        if os.path.islink(path):
            directory = os.path.dirname(os.path.realpath(path))
            target = os.stat(directory)
            self.directories.setdefault(directory, (target.st_dev, target.st_ino))


def _identity(path: str) -> tuple[int, int] | None:
    """Which file or directory it is, if any."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _signature(status: os.stat_result) -> Signature:
    return Signature(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _visible(directory: str) -> list[os.DirEntry[str]]:
    """What may lead to manifests, sorted by name."""
    with os.scandir(directory) as entries:
        found = [
            entry
            for entry in entries
            if not entry.name.startswith(".") and (entry.name.endswith(_SUFFIXES) or entry.is_dir())
        ]
    return sorted(found, key=attrgetter("name"))
