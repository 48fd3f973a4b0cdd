"""What the programs have counted of one endpoint, and what of it is in the shared table.

Invariant: what a program has counted is carried once, whichever rows it goes to.
"""

from typing import NamedTuple

from proxy.dataplane.close_reason import CloseReason
from proxy.shared_counts.column import Tally
from proxy.shared_counts.layout import EndpointCell, PoolCell


class EndpointCounts(NamedTuple):
    """What the programs have counted of an endpoint; the order is that of CountField."""

    open: int = 0
    opened: int = 0
    failed: int = 0
    to_client: int = 0
    from_client: int = 0
    closed: int = 0
    inactive: int = 0
    resets: int = 0

    @property
    def live(self) -> int:
        """How many are not over."""
        return self.open + self.inactive - self.closed


class EndpointTraffic:
    """What was carried of one endpoint, and where to.

    `lingers` is how many seconds a connection still counts when it is over, after an end and after a reset, or None
    where nobody compares that. `forgotten` are those that no longer count.
    """

    __slots__ = ("endpoint", "forgotten", "generation", "is_udp", "lingers", "number", "pool", "seen")

    def __init__(self, number: int, generation: int, pool: Tally, endpoint: Tally, is_udp: bool) -> None:
        self.number = number
        self.generation = generation
        self.pool = pool
        self.endpoint = endpoint
        self.is_udp = is_udp
        self.lingers: tuple[float, float] | None = None
        self.forgotten = 0
        self.seen = EndpointCounts()

    @property
    def live(self) -> bool:
        """Whether anything is open."""
        return self.seen.live > 0

    def carry(self, now: EndpointCounts) -> tuple[int, int]:
        """Add what is new. Gives how many ended since the last call, and how many of them by a reset."""
        before, self.seen = self.seen, now
        if now == before:
            return 0, 0
        failed = now.failed - before.failed
        taken = now.opened - before.opened - failed
        closed = now.closed - before.closed
        received, sent = now.from_client - before.from_client, now.to_client - before.to_client
        if failed or taken > 0:
            self.endpoint.gauge(EndpointCell.FAILING, int(taken <= 0))
        counts = self.endpoint.counts
        counts[EndpointCell.OPENED] += taken
        counts[EndpointCell.FAILED] += failed
        counts[EndpointCell.RECEIVED_BYTES] += received
        counts[EndpointCell.SENT_BYTES] += sent
        self.endpoint.touch()
        counts = self.pool.counts
        counts[PoolCell.OPENED] += taken
        counts[PoolCell.FAILED + CloseReason.CONNECT_REFUSED.number] += failed
        counts[PoolCell.CLOSED + CloseReason.KERNEL_CLOSED.number] += closed
        counts[PoolCell.RECEIVED_BYTES] += received
        counts[PoolCell.SENT_BYTES] += sent
        self.pool.touch()
        return closed, now.resets - before.resets

    def show(self) -> None:
        """Write the gauges. People call every UDP flow active."""
        seen = self.seen
        self.endpoint.gauge(EndpointCell.ACTIVE, seen.live if self.is_udp else seen.open)
        self.endpoint.gauge(EndpointCell.INACTIVE, 0 if self.is_udp else seen.live - seen.open)
        self.endpoint.gauge(EndpointCell.ENDED, seen.closed - self.forgotten)

    def move(self, pool: Tally, endpoint: Tally) -> None:
        """Be counted in these rows from now on."""
        for cell in (EndpointCell.ACTIVE, EndpointCell.INACTIVE, EndpointCell.ENDED):
            self.endpoint.gauge(cell, 0)
        self.pool, self.endpoint = pool, endpoint
