"""The directory watch: says when something may have changed below some directories.

Imports nothing of ours. Invariant: it says so at once where the kernel tells (inotify, through watchfiles), and in
bounded time everywhere (network file systems, links outside the tree, the kernel's limit of watches reached), so that
a listener who looks again each time misses nothing. It never says what changed: names in events can be outdated.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterable, Mapping

from watchfiles import Change, awatch

_STEP_MILLISECONDS = 10
_LONGEST_BURST_MILLISECONDS = 50
_LOOK_ANYWAY_SECONDS = 5.0
_LOOK_UNWATCHED_SECONDS = 0.25


class DirectoryWatch:
    """Watches one set of directories at a time. Belongs to one task; `wake` may be called by others of its loop.

    `roots` may vanish and come back: the nearest directory above each is watched as well, for that name alone.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        self._roots = tuple(map(_absolute, roots))
        self._watched: Mapping[str, tuple[int, int]] = {}
        self._inside: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def fault(self) -> str:
        """Why the kernel does not tell, or an empty string if it does (or a directory vanished, which shows soon)."""
        error = _error_of(self._task)
        if error is None or isinstance(error, FileNotFoundError):
            return ""
        return f"cannot be watched ({error}): looked at every {_LOOK_UNWATCHED_SECONDS} s instead"

    async def follow(self, directories: Mapping[str, tuple[int, int]]) -> bool:
        """Watch these from now on; True if what happened up to now has to be looked for before the next `wait`."""
        inside = {_absolute(path): identity for path, identity in directories.items()}
        watched = _directories_above(self._roots) | inside
        news = watched != self._watched
        if self._task is not None and _error_of(self._task) is None and not news:
            return False
        await self.close()
        self._watched, self._inside = watched, frozenset(inside)
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._watch(), name="manifest-watch")
        await asyncio.sleep(0)  # its first step opens the kernel's watches
        return news or _error_of(self._task) is None

    async def wait(self) -> None:
        """Return when something may have changed."""
        bound = _LOOK_ANYWAY_SECONDS if _error_of(self._task) is None else _LOOK_UNWATCHED_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(bound):
                await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        """Make the current or next `wait` return."""
        self._changed.set()

    async def close(self) -> None:
        """Stop watching; returns when the thread that watched has ended."""
        task, self._task = self._task, None
        if task is not None:
            self._stop.set()
            await asyncio.wait({task})
            _error_of(task)

    async def _watch(self) -> None:
        async for _ in awatch(
            *sorted(self._watched),
            watch_filter=self._concerns,
            debounce=_LONGEST_BURST_MILLISECONDS,
            step=_STEP_MILLISECONDS,
            stop_event=self._stop,
            recursive=False,
        ):
            self._changed.set()

    def _concerns(self, _change: Change, path: str) -> bool:
        if path in self._inside or os.path.dirname(path) in self._inside:
            return True
        return any(root == path or root.startswith(os.path.join(path, "")) for root in self._roots)


def _error_of(task: asyncio.Task[None] | None) -> BaseException | None:
    """The error that ended `task`, which then counts as seen."""
    return task.exception() if task is not None and task.done() and not task.cancelled() else None


def _absolute(path: str) -> str:
    return os.path.abspath(path)


def _directories_above(roots: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The nearest directory above each root, with (device, inode)."""
    found: dict[str, tuple[int, int]] = {}
    for root in roots:
        path = os.path.dirname(root)
        while not os.path.isdir(path) and path != os.path.dirname(path):
            path = os.path.dirname(path)
        status = os.stat(path)
        found[path] = (status.st_dev, status.st_ino)
    return found
