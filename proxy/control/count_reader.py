"""Reads the live counts of every endpoint, and says which of them moved.

Imports this room and `admin`. Invariant: a reader remembers what it said, and nothing else does.
"""

from collections.abc import Mapping

from proxy.admin.live_frame import EndpointCounts
from proxy.control.pool_counts import PoolCounts

_NOTHING = EndpointCounts()


class CountReader:
    """`counts` is read anew with every call of `changed`."""

    def __init__(self, counts: PoolCounts) -> None:
        self._counts = counts
        self._last: dict[str, tuple[EndpointCounts, ...]] = {}

    def changed(self) -> dict[str, dict[int, EndpointCounts]]:
        """By pool and place, what is other than at the last call."""
        before, self._last = self._last, {key: self._counts.of(key) for key in self._counts.used()}
        return {
            key: _differences(before.get(key, ()), counts)
            for key, counts in self._last.items()
            if counts != before.get(key)
        }

    def all_of(self, pool: str) -> Mapping[int, EndpointCounts]:
        """Every endpoint's counts as of the last call of `changed`."""
        return dict(enumerate(self._last.get(pool, ())))


def _differences(before: tuple[EndpointCounts, ...], after: tuple[EndpointCounts, ...]) -> dict[int, EndpointCounts]:
    known = before + (_NOTHING,) * (len(after) - len(before))
    return {place: counts for place, counts in enumerate(after) if counts != known[place]}
