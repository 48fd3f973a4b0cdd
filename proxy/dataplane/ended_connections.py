"""Connections that are over and count as inactive for a while, as IPVS keeps them.

Without them `lc` and `wlc` send every short connection to one endpoint. Invariant: a connection is forgotten once, by
the worker whose it was, within a second after its time.
"""

from collections.abc import Callable
from typing import Final

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.upstream import Upstream

# Seconds; net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_timeouts: TIME_WAIT and CLOSE.
_AFTER_FIN: Final = 120
_AFTER_RESET: Final = 10
_FIN: Final = (CloseReason.CLIENT_CLOSED, CloseReason.BACKEND_CLOSED)


class EndedConnections:
    """How many end their time in each second, by upstream. `clock` gives monotonic seconds."""

    __slots__ = ("_clock", "_due")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: dict[int, dict[Upstream, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._due)

    def add(self, upstream: Upstream, reason: CloseReason) -> None:
        """One that the upstream took is over."""
        second = int(self._clock()) + (_AFTER_FIN if reason in _FIN else _AFTER_RESET)
        of_second = self._due.setdefault(second, {})
        of_second[upstream] = of_second.get(upstream, 0) + 1
        upstream.linger(1)

    def expire(self, now: float) -> None:
        """Forget those whose time is over."""
        for second in [second for second in self._due if second <= now]:
            for upstream, connections in self._due.pop(second).items():
                upstream.linger(-connections)
