"""Worker: applies messages to listeners and balancers, and keeps the time for the flows.

Imports this room and `plan.frontend`. It owns no policy about Kubernetes and opens no listening socket: those come
with the messages. Invariants: a message that changes one frontend or pool touches no other; established TCP
connections survive every message.
"""

from collections.abc import Callable, Mapping
from socket import socket
from time import monotonic

from proxy.affinity import AffinityStatistics
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.inspection import Inspection
from proxy.dataplane.question import Answer, Question
from proxy.dataplane.resources import Resources
from proxy.dataplane.stickiness import Stickiness
from proxy.dataplane.tcp_listener import TcpListener
from proxy.dataplane.tcp_relay import TcpRelay
from proxy.dataplane.udp_flow import UdpFlow
from proxy.dataplane.udp_listener import UdpListener
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool

TICK = 0.25
"""Seconds between looks at deadlines; they are kept to this precision."""


class Worker:
    """One data plane. `start` and `stop` frame its life; in between it learns by `apply`."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._stickiness: dict[str, Stickiness] = {}
        self._balancers: dict[str, Balancer] = {}
        self._listeners: dict[FrontendKey, TcpListener | UdpListener] = {}
        self._by_pool: dict[str, set[FrontendKey]] = {}
        self._inspection = Inspection(resources, self._listeners, self._balancers)

    @property
    def balancers(self) -> Mapping[str, Balancer]:
        """The live pools, for tables and tests."""
        return self._balancers

    @property
    def open_relays(self) -> int:
        """TCP connections that are open, those still dialling included."""
        return len(self._resources.relays)

    @property
    def open_flows(self) -> int:
        """UDP flows that are open."""
        return len(self._resources.flows)

    def affinity_statistics(self) -> AffinityStatistics:
        """The counts of the ClientIP affinity table."""
        return self._resources.affinity.statistics()

    def answer(self, question: Question) -> Answer:
        """Tell what is asked about the flows of this moment."""
        return self._inspection.answer(question, monotonic())

    def when_empty(self, callback: Callable[[], None]) -> None:
        """Call back once no relay is open; at once if none is."""
        self._resources.on_empty = callback
        if not self._resources.relays:
            callback()

    def start(self) -> None:
        """Begin to keep time."""
        self._resources.reactor.every(TICK, self._tick)

    def apply(self, delta: Delta, sockets: Mapping[FrontendKey, socket]) -> None:
        """Take a change over, in the order of its fields. `sockets` has one for each frontend that is new here."""
        for pool in delta.pools:
            self._put_pool(pool)
        for frontend in delta.frontends:
            self._put_frontend(frontend, sockets)
        for key in delta.removed_frontends:
            self._remove_frontend(key)
        for pool_key in delta.removed_pools:
            self._remove_pool(pool_key)

    def stop_accepting(self) -> None:
        """Close the TCP listeners; what is connected goes on, UDP flows too."""
        for key in [key for key, listener in self._listeners.items() if isinstance(listener, TcpListener)]:
            self._remove_frontend(key)

    def end_all(self, reason: CloseReason) -> None:
        """End every flow and listener at once."""
        for relay in list(self._resources.relays):
            relay.end(reason)
        for listener in self._listeners.values():
            if isinstance(listener, UdpListener):
                listener.close(reason)
            else:
                listener.close()
        self._listeners.clear()
        for relay in list(self._resources.relays):
            relay.end(reason)

    def stop(self) -> None:
        """Let go of the reactor; `end_all` came before."""
        self._resources.pipes.close()
        self._resources.reactor.release()
        self._flush_log()

    def _tick(self) -> None:
        resources = self._resources
        now = resources.reactor.now
        for relay in [relay for relay in resources.dialling if relay.attempt_deadline <= now]:
            relay.attempt_overdue(now)
        for item in (*resources.idle.due(now), *resources.flows.due(now)):
            assert isinstance(item, TcpRelay | UdpFlow)
            item.end(CloseReason.IDLE_TIMEOUT)
        resources.descriptors.wake()
        self._flush_log()

    def _flush_log(self) -> None:
        if self._resources.access_log is not None:
            self._resources.access_log.flush()

    def _put_pool(self, pool: Pool) -> None:
        before = self._balancers.get(pool.key)
        stickiness = self._stickiness_of(pool)
        if before is None:
            self._balancers[pool.key] = Balancer(pool, stickiness, self._resources.random)
            return
        old_key = before.pool.affinity_key if before.pool.affinity_seconds else ""
        old_limit = before.pool.idle_timeout
        before.update(pool, stickiness)
        if pool.idle_timeout != old_limit:
            self._limit_anew(before)
        if old_key and (stickiness is None or old_key != pool.affinity_key):
            self._leave_stickiness(old_key, pool.key)
        for key in self._by_pool.get(pool.key, ()):
            self._listeners[key].settle()

    def _limit_anew(self, balancer: Balancer) -> None:
        """The idle limit is another one: it holds for what is open as well."""
        resources = self._resources
        for relay in resources.relays:
            if relay.balancer is balancer:
                resources.idle.discard(relay)
                if relay.is_limited:
                    resources.idle.add(relay)
        for key in self._by_pool.get(balancer.pool.key, ()):
            listener = self._listeners[key]
            for flow in listener.flows.values() if isinstance(listener, UdpListener) else ():
                resources.flows.discard(flow)
                resources.flows.add(flow)

    def _stickiness_of(self, pool: Pool) -> Stickiness | None:
        if not pool.affinity_seconds:
            return None
        stickiness = self._stickiness.get(pool.affinity_key)
        if stickiness is None:
            stickiness = Stickiness(self._resources.affinity, pool.affinity_seconds)
            self._stickiness[pool.affinity_key] = stickiness
        stickiness.set_timeout(pool.affinity_seconds)
        stickiness.pools.add(pool.key)
        return stickiness

    def _leave_stickiness(self, affinity_key: str, pool_key: str) -> None:
        stickiness = self._stickiness[affinity_key]
        stickiness.pools.discard(pool_key)
        if not stickiness.pools:
            self._stickiness.pop(affinity_key).close()

    def _put_frontend(self, frontend: Frontend, sockets: Mapping[FrontendKey, socket]) -> None:
        balancer = self._balancers[frontend.pool]
        listener = self._listeners.get(frontend.key)
        if listener is not None:
            self._by_pool[listener.frontend.pool].discard(frontend.key)
            listener.reconfigure(frontend, balancer)
        else:
            kind = TcpListener if frontend.key.protocol == "TCP" else UdpListener
            self._listeners[frontend.key] = kind(frontend, sockets[frontend.key], balancer, self._resources)
        self._by_pool.setdefault(frontend.pool, set()).add(frontend.key)

    def _remove_frontend(self, key: FrontendKey) -> None:
        listener = self._listeners.pop(key, None)
        if listener is not None:
            self._by_pool[listener.frontend.pool].discard(key)
            listener.close()

    def _remove_pool(self, pool_key: str) -> None:
        balancer = self._balancers.pop(pool_key)
        self._by_pool.pop(pool_key, None)
        balancer.dissolve()
        if balancer.pool.affinity_seconds:
            self._leave_stickiness(balancer.pool.affinity_key, pool_key)
