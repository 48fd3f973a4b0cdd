"""Rates from two looks at the live picture.

The clock is an argument. Pure. Invariant: an endpoint's rates come from its own two counts, so that one that joins or
leaves is no burst, and none is below 0.
"""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import NamedTuple

from proxy.client.live_picture import LivePicture
from proxy.reports.live_frame import EndpointCounts, EndpointView, PoolView, ServiceView

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

    @property
    def is_moving(self) -> bool:
        """Whether a rate is other than 0."""
        return any((self.opened_rate, self.failed_rate, self.received_rate, self.sent_rate))


class RateMeter:
    """Remembers the lines of the last look, and looks only into Services that moved since. It is the one that asks the
    picture what was touched."""

    def __init__(self) -> None:
        self._lines: dict[str, ServiceLine] = {}
        self._moving: set[str] = set()
        self._time: float | None = None

    def measure(self, picture: LivePicture, now: float) -> list[ServiceLine]:
        """The lines of this moment, by name; `now` is monotonic seconds. Rates are 0 at the first look."""
        elapsed, self._time = now - self._time if self._time is not None else 0.0, now
        for name in picture.touched() | self._moving:
            service = picture.services.get(name)
            before = self._lines.pop(name, None)
            if service is not None:
                line = _service(name, service, _endpoints(service, picture, elapsed, before))
                self._lines[name] = line
        self._moving = {name for name, line in self._lines.items() if line.is_moving}
        return [self._lines[name] for name in sorted(self._lines)]


def _endpoints(
    service: ServiceView, picture: LivePicture, elapsed: float, before: ServiceLine | None
) -> Iterator[EndpointLine]:
    last = {_identity(line): line.counts for line in before.endpoints} if before is not None else {}
    for pool in service.pools:
        for place, endpoint in enumerate(pool.endpoints):
            counts = picture.counts(pool.key, place)
            then = last.get((pool.key, endpoint.address, endpoint.port), counts)
            yield EndpointLine(pool, endpoint, counts, *_rates(then, counts, elapsed))


def _identity(line: EndpointLine) -> Identity:
    return line.pool.key, line.endpoint.address, line.endpoint.port


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
