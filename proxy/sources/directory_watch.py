"""The directory watch: says when something may have changed at some paths: directories, and files.

Invariant: a listener who looks again each time misses nothing. It is told at once where the kernel tells (inotify), and
in bounded time elsewhere: on network file systems, at links outside the tree, at the kernel's limit of watches. It is
never told what changed, since names in events can be outdated. While nothing happens, nothing runs but a look now and
then.
"""

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterable, Mapping

from proxy.sources.inotify import Event, Inotify, Mask

_QUIET_SECONDS = 0.01
_LONGEST_BURST_SECONDS = 0.05
_LOOK_ANYWAY_SECONDS = 5.0
_LOOK_UNWATCHED_SECONDS = 0.25

_COMES_AND_GOES = Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE_SELF | Mask.MOVE_SELF
_ANYTHING = _COMES_AND_GOES | Mask.MODIFY | Mask.CLOSE_WRITE | Mask.ATTRIB

Identity = tuple[int, int]
"""Device and inode."""


class DirectoryWatch:
    """Watches one set of directories at a time. Belongs to one task; `wake` may be called by others of its loop.

    `roots` may vanish and come back: the nearest directory above each is watched as well, for that name alone. A root
    that is a file is watched there, too.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        self._roots = tuple(map(os.path.abspath, roots))
        self._watched: Mapping[str, Identity] = {}
        self._names: dict[int, frozenset[str]] = {}
        """By watch: the names that matter in it; none stands for any."""
        self._inotify: Inotify | None = None
        self._error: OSError | None = None
        self._changed = asyncio.Event()
        self._burst: asyncio.TimerHandle | None = None
        self._burst_end = 0.0
        self._burst_matters = False

    @property
    def fault(self) -> str:
        """Why the kernel does not report changes; empty if it does, or if only a directory vanished."""
        if self._error is None or isinstance(self._error, FileNotFoundError | NotADirectoryError):
            return ""
        return f"cannot be watched ({self._error}): looked at every {_LOOK_UNWATCHED_SECONDS} s instead"

    def follow(self, directories: Mapping[str, Identity]) -> bool:
        """Watch these from now on; True if the caller must look once more before the next `wait`."""
        inside = {os.path.abspath(path): identity for path, identity in directories.items()}
        above = [_directory_above(root) for root in self._roots]
        watched = {path: identity for path, identity, _ in above} | inside
        news = watched != self._watched
        if not news and self._error is None:
            return False
        self._watched, self._error = watched, None
        names: dict[int, frozenset[str]] = {}
        for path, _, name in above:
            mask = _ANYTHING if os.path.isfile(os.path.join(path, name)) else _COMES_AND_GOES
            if (watch := self._add(path, mask)) is not None:
                names[watch] = names.get(watch, frozenset()) | {name}
        for path in inside:
            if (watch := self._add(path, _ANYTHING)) is not None:
                names[watch] = frozenset()
        before, self._names = self._names, names
        for watch in before.keys() - names.keys():
            self._kernel().remove(watch)
        return news or self._error is None

    async def wait(self) -> None:
        """Return when something may have changed."""
        bound = _LOOK_ANYWAY_SECONDS if self._error is None else _LOOK_UNWATCHED_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(bound):
                await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        """Make the current or next `wait` return."""
        self._changed.set()

    def close(self) -> None:
        """Stop watching."""
        if self._burst is not None:
            self._burst.cancel()
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None

    def _kernel(self) -> Inotify:
        if self._inotify is None:
            self._inotify = Inotify()
            asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._take)
        return self._inotify

    def _add(self, path: str, mask: int) -> int | None:
        """The watch on a directory, or an error to keep."""
        try:
            return self._kernel().add(path, mask)
        except OSError as error:
            self._error = self._error or error
            return None

    def _take(self) -> None:
        """Read the events, then pause for a moment.

        A burst, such as an editor's save, is then one change, and events of other names cost few wake-ups.
        """
        loop, kernel = asyncio.get_running_loop(), self._kernel()
        matters = sum(self._matters(event) for event in kernel.read()) > 0
        self._burst_matters |= matters
        if self._burst is None:
            self._burst_end = loop.time() + _LONGEST_BURST_SECONDS
            loop.remove_reader(kernel.fileno())
        elif not matters or loop.time() >= self._burst_end:
            self._end_burst()
            return
        self._burst = loop.call_later(_QUIET_SECONDS, self._take)

    def _end_burst(self) -> None:
        self._burst = None
        asyncio.get_running_loop().add_reader(self._kernel().fileno(), self._take)
        if self._burst_matters:
            self._burst_matters = False
            self._changed.set()

    def _matters(self, event: Event) -> bool:
        names = self._names.get(event.watch)
        if names is None:
            return bool(event.mask & Mask.QUEUE_OVERFLOW)
        if event.mask & Mask.IGNORED:
            # The kernel dropped the watch; a directory that takes the place may even have the same inode.
            del self._names[event.watch]
            self._watched = {}
        return not names or not event.name or event.name in names


def _directory_above(root: str) -> tuple[str, Identity, str]:
    """The nearest directory above a root, and the name in it that leads there."""
    path, name = os.path.split(root)
    while True:
        try:
            status = os.stat(path)
        except OSError:
            if path == os.path.dirname(path):
                raise
        else:
            if stat.S_ISDIR(status.st_mode):
                return path, (status.st_dev, status.st_ino), name
        path, name = os.path.split(path)
