"""Rates from two looks at the live picture.

Imports this room's picture; the clock is an argument. Pure. Invariant: an endpoint's rates come from its own two
counts, so that one that joins or leaves is no burst, and none is below 0.
"""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import NamedTuple

from proxy.admin.live_frame import EndpointCounts, EndpointView, PoolView, ServiceView
from proxy.client.live_picture import LivePicture

Identity = tuple[str, str, int]
"""Pool, address and port of an endpoint."""


class EndpointLine(NamedTuple):
    """One endpoint of a pool; rates are per second, `received` and `sent` bytes from and to clients."""

    pool: PoolView
    endpoint: EndpointView
    counts: EndpointCounts
    opened_rate: float
    failed_rate: float
    received_rate: float
    sent_rate: float


class ServiceLine(NamedTuple):
    """One Service with the sums of its endpoints."""

    name: str
    service: ServiceView
    endpoints: tuple[EndpointLine, ...]
    active: int
    opened: int
    opened_rate: float
    failed_rate: float
    received_rate: float
    sent_rate: float


class RateMeter:
    """Remembers the counts of the last look."""

    def __init__(self) -> None:
        self._last: dict[Identity, EndpointCounts] = {}
        self._time = 0.0

    def measure(self, picture: LivePicture, now: float) -> list[ServiceLine]:
        """The lines of this moment, by name; `now` is monotonic seconds. Rates are 0 at the first look."""
        elapsed, self._time = now - self._time if self._last else 0.0, now
        seen: dict[Identity, EndpointCounts] = {}
        lines = [
            _service(name, service, self._endpoints(service, picture, elapsed, seen))
            for name, service in sorted(picture.services.items())
        ]
        self._last = seen
        return lines

    def _endpoints(
        self, service: ServiceView, picture: LivePicture, elapsed: float, seen: dict[Identity, EndpointCounts]
    ) -> Iterator[EndpointLine]:
        for pool in service.pools:
            for place, endpoint in enumerate(pool.endpoints):
                counts = picture.counts(pool.key, place)
                identity = (pool.key, endpoint.address, endpoint.port)
                seen[identity] = counts
                before = self._last.get(identity, counts)
                yield EndpointLine(pool, endpoint, counts, *_rates(before, counts, elapsed))


def _rates(before: EndpointCounts, counts: EndpointCounts, elapsed: float) -> Iterator[float]:
    """Of the four counts that only grow: opened, failed, received, sent."""
    if before == counts:
        # Most endpoints of a large proxy, most of the time.
        return repeat(0.0, 4)
    grown = zip(_growing(before), _growing(counts), strict=True)
    return (_per_second(max(0, now - then), elapsed) for then, now in grown)


def _growing(counts: EndpointCounts) -> tuple[int, ...]:
    return counts.opened, counts.failed, counts.received, counts.sent


def _per_second(growth: int, elapsed: float) -> float:
    return growth / elapsed if elapsed > 0 else 0.0


def _service(name: str, service: ServiceView, endpoints: Iterable[EndpointLine]) -> ServiceLine:
    lines = tuple(endpoints)
    return ServiceLine(
        name,
        service,
        lines,
        sum(line.counts.active for line in lines),
        sum(line.counts.opened for line in lines),
        sum(line.opened_rate for line in lines),
        sum(line.failed_rate for line in lines),
        sum(line.received_rate for line in lines),
        sum(line.sent_rate for line in lines),
    )
