"""The scan: which manifest files are there now, told apart from other versions of themselves without opening them.

It reads directories and opens no file. Invariants: every file and every directory is seen once, through however many
links it can be reached, so links in circles end. What cannot be looked at is a fault of that name alone, and
everything beside it is seen. Hidden names are left out, and with them editors' swap files and the `..data` directories
of ConfigMap volumes (their files are seen through the links).
"""

import os
import stat
from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

import msgspec

_ATTEMPTS = 5
NO_REGULAR_FILE = "is neither a regular file nor a directory, and is not read"
_SUFFIXES = (".yaml", ".yml", ".json")
DEEPEST = 32
"""Directories in each other, below a root."""
MOST_FILES = 100_000


class Signature(NamedTuple):
    """What differs between two versions of a file, times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Scan(msgspec.Struct, frozen=True):
    """What is there now.

    `files` is sorted by path. `directories` maps everything to watch to (device, inode), so that a directory that was
    replaced is another one. `faults` maps what could not be read to the reason; what is below it is unknown.
    """

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
    """A walk during which no root vanished or was replaced, if one of a few attempts gives it.

    Files that are missing because their root is gone were not deleted.
    """
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
        self._ahead: list[tuple[str, int]] = []

    def visit(self, root: str) -> None:
        """Look at `root` and, if it is a directory, at everything below it."""
        self._ahead.append((root, 0))
        while self._ahead:
            path, depth = self._ahead.pop()
            if len(self.files) >= MOST_FILES:
                self.faults[root] = f"holds more than {MOST_FILES:,} manifest files: the others are not read"
                self._ahead.clear()
                return
            self._visit(path, depth)

    def _visit(self, path: str, depth: int) -> None:
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                self._visit_directory(path, (status.st_dev, status.st_ino), depth)
            elif stat.S_ISREG(status.st_mode):
                self._visit_file(path, status)
            else:
                self.faults[path] = NO_REGULAR_FILE
        except FileNotFoundError:
            self._visit_missing(path)
        except OSError as error:
            self.faults[path] = f"cannot be read: {error.strerror}"

    def _visit_missing(self, path: str) -> None:
        """A missing root or a broken link is a fault. Any other name that is gone since it was listed was deleted."""
        if os.path.islink(path):
            self.faults[path] = f"is a link to nothing ({os.readlink(path)})"
        elif path in self.roots:
            self.faults[path] = "does not exist any more: what it held stays in force until it is back"

    def _visit_directory(self, path: str, identity: tuple[int, int], depth: int) -> None:
        if identity in self._visited:
            return
        if depth > DEEPEST:
            self.faults[path] = f"is more than {DEEPEST} directories deep, and is not read"
            return
        self._visited.add(identity)
        self.directories[path] = identity
        deeper = []
        for entry in _visible(path):
            if not _is_text(entry.name):
                self.faults[printable(entry.path)] = "has a name that is not UTF-8, and is not read: rename it"
            elif entry.is_file(follow_symlinks=False):
                self._visit_plain(entry)
            else:
                deeper.append((entry.path, depth + 1))
        self._ahead += reversed(deeper)

    def _visit_plain(self, entry: os.DirEntry[str]) -> None:
        """Look at a file that is no link, as nearly all are, with one system call."""
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
    """(device, inode) of what is at `path`, if anything is."""
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
            if not entry.name.startswith(".") and (entry.name.endswith(_SUFFIXES) or _is_directory(entry))
        ]
    return sorted(found, key=attrgetter("name"))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether it is a directory, or cannot be examined (a link to itself), which the visit then reports."""
    try:
        return entry.is_dir()
    except OSError:
        return True


def _is_text(name: str) -> bool:
    """Whether a name that came from the system has bytes of UTF-8 alone."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str) -> str:
    """A path from the system as text, bytes that are not UTF-8 as \\xNN."""
    return os.fsencode(path).decode(errors="backslashreplace")
