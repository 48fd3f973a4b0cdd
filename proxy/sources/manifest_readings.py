"""The manifest readings: one after the other, each when there may be something new at the paths.

Invariant: reading blocks no event loop; a file that is being written is waited for, in bounded time.
"""

import asyncio
from collections.abc import Sequence

from proxy.model.problem import Problem
from proxy.sources.directory_watch import DirectoryWatch
from proxy.sources.manifest_file import ManifestFile
from proxy.sources.manifest_reader import MOST_BYTES, SETTLED_NANOSECONDS, ManifestReader, Reading

_ATTEMPTS_TO_SETTLE = 5


class ManifestReadings:
    """`read`, then `wait` for the next time to read; both belong to one task."""

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
