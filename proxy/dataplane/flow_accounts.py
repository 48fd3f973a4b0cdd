"""Counts what flows have come to, for the metrics of their pools and endpoints.

Counting must cost next to nothing, so it happens once, after a flow's end, by plain additions that the next flush
writes. It is done for several flows in a row: between two flows the kernel empties the caches that it needs. Only what
lives for longer than a second is looked at earlier, so that the bytes of a long transfer are counted while they pass.
Invariant: every byte and every flow is counted once, before the flush that follows its end.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, Protocol

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.ended_connections import EndedConnections
from proxy.dataplane.upstream import Upstream
from proxy.shared_counts.column import Tally
from proxy.shared_counts.layout import CONNECT_BOUNDS, DURATION_BOUNDS, EndpointCell, PoolCell

# A member of an enumeration is a slower constant.
_OPENED: Final = int(PoolCell.OPENED)
_RECEIVED: Final = int(PoolCell.RECEIVED_BYTES)
_SENT: Final = int(PoolCell.SENT_BYTES)
_FAILED: Final = int(PoolCell.FAILED)
_CLOSED: Final = int(PoolCell.CLOSED)
_CONNECTS: Final = int(PoolCell.CONNECT_BUCKETS)
_CONNECT_TIME: Final = int(PoolCell.CONNECT_MICROSECONDS)
_DURATIONS: Final = int(PoolCell.DURATION_BUCKETS)
_DURATION: Final = int(PoolCell.DURATION_MILLISECONDS)
_RECEIVED_THERE: Final = int(EndpointCell.RECEIVED_BYTES)
_SENT_THERE: Final = int(EndpointCell.SENT_BYTES)
_MOST_WAITING: Final = 64


class Flow(Protocol):
    """A TCP relay or a UDP flow. `used` is when it last did something, `carried` the bytes delivered to its upstream
    and to its client, `upstream` None where none has taken it."""

    balancer: Balancer

    @property
    def used(self) -> float: ...

    @property
    def carried(self) -> tuple[int, int]: ...

    @property
    def upstream(self) -> Upstream | None: ...


class FlowAccounts:
    """One instance a worker. `settle` comes before every flush of what was counted."""

    __slots__ = ("_ended", "_sampled", "_waiting")

    def __init__(self, ended: EndedConnections) -> None:
        self._ended = ended
        self._sampled: dict[Flow, tuple[int, int]] = {}
        # What ended and is not counted yet: the tallies of its pool and endpoint, the reason's number, seconds in all
        # and until it was connected, bytes to the backend and to the client.
        self._waiting: list[tuple[Tally, Tally, int, float, float, int, int]] = []

    def failed(self, balancer: Balancer, reason: CloseReason) -> None:
        """A flow is over that no upstream took."""
        tally = balancer.tally
        tally.counts[_FAILED + reason.number] += 1
        tally.touch()

    def closed(
        self,
        flow: Flow,
        upstream: Upstream,
        reason: CloseReason,
        carried: tuple[int, int],
        seconds: float,
        connect_seconds: float = -1.0,
    ) -> None:
        """A flow is over that an upstream took, so long after its beginning; where it had to be connected, that took so
        long of it."""
        received, sent = carried
        if upstream.lingers:
            self._ended.add(upstream, reason)
        if self._sampled:
            before = self._sampled.pop(flow, (0, 0))
            received -= before[0]
            sent -= before[1]
        waiting = self._waiting
        waiting.append((flow.balancer.tally, upstream.tally, reason.number, seconds, connect_seconds, received, sent))
        if len(waiting) >= _MOST_WAITING:
            self.settle()

    def settle(self) -> None:
        """Count the flows that ended."""
        for tally, there, number, seconds, connect_seconds, received, sent in self._waiting:
            counts = tally.counts
            counts[_CLOSED + number] += 1
            counts[_DURATIONS + bisect_left(DURATION_BOUNDS, seconds)] += 1
            counts[_DURATION] += int(seconds * 1e3)
            if connect_seconds >= 0.0:
                counts[_CONNECTS + bisect_left(CONNECT_BOUNDS, connect_seconds)] += 1
                counts[_CONNECT_TIME] += int(connect_seconds * 1e6)
            _carry(tally, there, received, sent)
        self._waiting.clear()

    def sample(self, flows: Iterable[Flow], since: float) -> None:
        """Count what was carried up to now by those of these open flows that were used since then."""
        for flow in flows:
            if flow.used >= since:
                upstream = flow.upstream
                carried = flow.carried
                if upstream is not None and carried != (0, 0):
                    before = self._sampled.get(flow, (0, 0))
                    _carry(flow.balancer.tally, upstream.tally, carried[0] - before[0], carried[1] - before[1])
                    self._sampled[flow] = carried


def _carry(tally: Tally, there: Tally, received: int, sent: int) -> None:
    counts = tally.counts
    counts[_RECEIVED] += received
    counts[_SENT] += sent
    counts = there.counts
    counts[_RECEIVED_THERE] += received
    counts[_SENT_THERE] += sent
    if not tally.touched:
        tally.touch()
    if not there.touched:
        there.touch()
