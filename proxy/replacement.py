"""Replaces a file by a new one, so that the path always holds a whole file, whatever happens to process or machine.

The new file is made beside the old one, never through a link that somebody put there, and its owner alone may read it.
Invariant: a replacement that fails leaves the old file as it was, and nothing of the new one.
"""

import contextlib
import os
from types import TracebackType
from typing import Self


class Replacement:
    """A context with the new `file`, open for writing bytes. `finish` puts it in the place of `path`; what is not
    finished is removed at the end. Raises OSError."""

    def __init__(self, path: str) -> None:
        self._path = path
        # By process, for two of them may replace the same file. One that a crash left would be in the way for ever.
        self._temporary = f"{path}.{os.getpid()}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self.file = open(os.open(self._temporary, flags, 0o600), "wb")  # noqa: SIM115 - closed where the block ends
        self._is_finished = False

    def finish(self) -> None:
        """Have the new file in its place, and on disk. Blocks. Raises OSError."""
        self.file.flush()
        os.fsync(self.file.fileno())
        os.replace(self._temporary, self._path)
        self._is_finished = True
        _sync_directory(os.path.dirname(self._path) or ".")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A buffer that found no room on the disk finds none now.
        with contextlib.suppress(OSError):
            self.file.close()
        if not self._is_finished:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)


def _sync_directory(directory: str) -> None:
    """Make a rename in it durable, where the file system knows how."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
