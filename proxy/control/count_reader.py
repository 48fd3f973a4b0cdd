"""Reads the live counts of every endpoint, and says which of them moved.

Imports the data plane's balancers and `admin`. Invariant: a reader remembers what it said, and nothing else does.
"""

from collections.abc import Mapping

from proxy.admin.live_frame import EndpointCounts
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.upstream import Upstream

_NOTHING = EndpointCounts()


class CountReader:
    """`balancers` is live, and looked at anew with every call of `changed`."""

    def __init__(self, balancers: Mapping[str, Balancer]) -> None:
        self._balancers = balancers
        self._last: dict[str, tuple[EndpointCounts, ...]] = {}

    def changed(self) -> dict[str, dict[int, EndpointCounts]]:
        """By pool and place, what is other than at the last call."""
        before, self._last = (
            self._last,
            {key: tuple(map(_counts, balancer.upstreams)) for key, balancer in self._balancers.items()},
        )
        return {
            key: _differences(before.get(key, ()), counts)
            for key, counts in self._last.items()
            if counts != before.get(key)
        }

    def all_of(self, pool: str) -> Mapping[int, EndpointCounts]:
        """Every endpoint's counts as of the last call of `changed`."""
        return dict(enumerate(self._last.get(pool, ())))


def _counts(upstream: Upstream) -> EndpointCounts:
    return EndpointCounts(upstream.active, upstream.inactive, int(upstream.failures > 0))


def _differences(before: tuple[EndpointCounts, ...], after: tuple[EndpointCounts, ...]) -> dict[int, EndpointCounts]:
    known = before + (_NOTHING,) * (len(after) - len(before))
    return {place: counts for place, counts in enumerate(after) if counts != known[place]}
