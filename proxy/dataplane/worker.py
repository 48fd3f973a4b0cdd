"""Worker: applies messages to listeners and balancers, and keeps the time for the flows.

It owns no policy about Kubernetes, opens no listening socket and does nothing to one: they come with the messages.
Invariants: a message that changes one frontend or pool touches no other; established
TCP connections survive every message; flows may go on between any two steps of one.
"""

import logging
import os
from collections.abc import Callable, Generator, Mapping
from functools import partial
from itertools import islice
from socket import socket
from time import monotonic

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.inspection import Inspection
from proxy.dataplane.messages import PoolMessage, Update
from proxy.dataplane.own_clients import OwnClients
from proxy.dataplane.pools import Pools
from proxy.dataplane.question import Answer, Question
from proxy.dataplane.resources import Connection, Resources
from proxy.dataplane.shared_listening import SharedListening
from proxy.dataplane.shared_receiving import SharedReceiving
from proxy.dataplane.steps import Steps, take_all
from proxy.dataplane.tcp_listener import TcpListener
from proxy.dataplane.udp_flow import UdpFlow
from proxy.dataplane.udp_listener import UdpListener
from proxy.dataplane.worker_counts import WorkerCounts
from proxy.line_output import LineOutput
from proxy.plan.frontend import Frontend, FrontendKey

TICK = 0.25
"""Seconds between looks at deadlines, while anything is open; they are kept to this precision."""
KEEP_ALIVE_AFTER = 5.0
"""Seconds that a connection has lived before its endpoint's socket is given keep-alive."""
_KEPT_ALIVE_PER_TICK = 256
"""Some 300 microseconds of system calls."""

_log = logging.getLogger(__name__)


class Worker:
    """One data plane. `start` and `stop` frame its life; in between it learns by `apply`."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._counts = WorkerCounts(resources)
        self._pools = Pools(resources)
        self._listeners: dict[FrontendKey, TcpListener | UdpListener] = {}
        self._by_pool: dict[str, set[FrontendKey]] = {}
        self._shared = SharedListening(resources)
        self._shared_udp = SharedReceiving(resources)
        self._inspection = Inspection(resources, self._listeners, self._pools)

    @property
    def resources(self) -> Resources:
        """What its flows share."""
        return self._resources

    def balancer(self, pool_key: str) -> Balancer:
        """The live form of a pool. Raises KeyError."""
        return self._pools[pool_key].balancer()

    @property
    def open_relays(self) -> int:
        """TCP connections that are open, those still dialling included."""
        return len(self._resources.relays)

    @property
    def open_flows(self) -> int:
        """UDP flows that are open."""
        return len(self._resources.flows)

    def answer(self, question: Question) -> Generator[None, None, Answer]:
        """Steps that return what is asked about the flows of these moments."""
        return self._inspection.answer(question, monotonic())

    def when_empty(self, callback: Callable[[], None]) -> None:
        """Call back once no relay is open; at once if none is."""
        self._resources.on_empty = callback
        if not self._resources.relays:
            callback()

    def use_access_log(self, descriptor: int) -> None:
        """Write the access log to another file from now on; closes the descriptor."""
        if self._resources.access_log is not None:
            self._resources.access_log.go_over_to(LineOutput(descriptor))
        os.close(descriptor)

    def start(self) -> None:
        """Begin to keep time."""
        self._counts.write()
        self._resources.reactor.every(TICK, self._tick)

    def make_room(self, sockets: int) -> int:
        """See to descriptors for so many sockets that are about to come. A frontend without a socket serves nobody, so
        flows give way. Gives how many were set aside, which the caller puts back as the sockets come: 0 where there was
        room, otherwise all of them, and they are free after this batch of events."""
        resources = self._resources
        if not sockets or resources.descriptors.free - resources.reactor.doomed >= sockets:
            return 0
        resources.pipes.close()
        resources.descriptors.occupy(sockets)
        while resources.descriptors.free < 0 and (flow := self._first_to_go()) is not None:
            flow.end(CloseReason.DESCRIPTOR_LIMIT)
        return sockets

    def _first_to_go(self) -> Connection | UdpFlow | None:
        """The UDP flow that has been idle for longest, which its client begins anew, or the newest connection."""
        oldest = self._resources.flows.nearest()
        if isinstance(oldest, UdpFlow):
            return oldest
        return next(reversed(self._resources.relays), None)

    def apply(self, update: Update, sockets: Mapping[FrontendKey, socket]) -> Steps:
        """Take a change over, in the order of its fields. `sockets` has one for each that the message names."""
        for pool in update.pools:
            yield from self._put_pool(pool)
            yield
        for frontend in update.frontends:
            yield from self._put_frontend(frontend, sockets)
            yield
        if update.removed_frontends:
            yield from self._shared.take_waiting()
        for key in update.removed_frontends:
            yield from self._remove_frontend(key)
            yield
        for pool_key in update.removed_pools:
            self._remove_pool(pool_key)
            yield
        for key in update.shared:
            if key.protocol == "TCP":
                self._shared.accept_from(sockets[key])
            else:
                self._shared_udp.receive_from(sockets[key])

    def stop_accepting(self) -> Steps:
        """Close the TCP listeners; what is connected goes on, UDP flows too."""
        yield from self._shared.close()
        for key in [key for key, listener in self._listeners.items() if isinstance(listener, TcpListener)]:
            yield from self._remove_frontend(key)
            yield

    def end_all(self, reason: CloseReason) -> None:
        """End every flow and listener at once."""
        for relay in list(self._resources.relays):
            relay.end(reason)
        take_all(self._shared.close())
        self._shared_udp.close()
        for listener in self._listeners.values():
            take_all(listener.close(reason))
        self._listeners.clear()
        for relay in list(self._resources.relays):
            relay.end(reason)

    def stop(self) -> None:
        """Let go of the reactor; `end_all` came before."""
        self._resources.pipes.close()
        self._resources.reactor.release()
        self.flush()

    def _tick(self) -> None:
        resources = self._resources
        now = resources.reactor.now
        for relay in [relay for relay in resources.dialling if relay.attempt_deadline <= now]:
            _alone(relay, partial(relay.attempt_overdue, now))
        self._keep_alive(now)
        for item in (*resources.idle.due(now), *resources.flows.due(now)):
            assert isinstance(item, Connection | UdpFlow)
            _alone(item, partial(item.end, CloseReason.IDLE_TIMEOUT))
        resources.ended.expire(now)
        resources.descriptors.wake()
        resources.tick()
        self._counts.came_late(resources.reactor.late)
        self.flush()
        if resources.is_idle and not (resources.descriptors.is_awaited or resources.awaits_tick):
            resources.reactor.rest()

    def _keep_alive(self, now: float) -> None:
        """Keep those alive that have lived for a while: the oldest, and not so many at once that clients wait."""
        young = self._resources.young
        for relay in list(islice(young, _KEPT_ALIVE_PER_TICK)):
            if young[relay] + KEEP_ALIVE_AFTER > now:
                break
            del young[relay]
            _alone(relay, relay.keep_alive)

    def flush(self) -> None:
        """Write what was counted, and the lines of the log."""
        self._counts.write()
        if self._resources.access_log is not None:
            self._resources.access_log.flush()

    def _put_pool(self, message: PoolMessage) -> Steps:
        before = self._pools.put(message)
        if before is not None:
            balancer = self.balancer(message.key)
            if before.idle_timeout != balancer.pool.idle_timeout:
                yield from self._limit_anew(balancer)
        for key in self._by_pool.get(message.key, ()):
            yield from self._listeners[key].settle()

    def _limit_anew(self, balancer: Balancer) -> Steps:
        """The idle limit is another one: it holds for what is open as well. What begins meanwhile has it already."""
        resources = self._resources
        for relay in tuple(resources.relays):
            if relay.balancer is balancer and relay in resources.relays:
                resources.idle.discard(relay)
                if relay.is_limited:
                    resources.idle.add(relay)
            yield
        for key in self._by_pool.get(balancer.pool.key, ()):
            listener = self._listeners[key]
            for flow in tuple(listener.flows.values()) if isinstance(listener, UdpListener) else ():
                if not flow.over:
                    resources.flows.discard(flow)
                    resources.flows.add(flow)
                    yield

    def _put_frontend(self, frontend: Frontend, sockets: Mapping[FrontendKey, socket]) -> Steps:
        pool = self._pools[frontend.pool]
        own = OwnClients(self._pools[frontend.own_pool], frontend.own_sources) if frontend.own_pool else None
        listener = self._listeners.get(frontend.key)
        if listener is not None:
            self._leave_pool(listener)
            yield from listener.reconfigure(frontend, pool, own)
        elif frontend.key.protocol == "TCP":
            sock = sockets.get(frontend.key)
            self._listeners[frontend.key] = listener = TcpListener(frontend, sock, pool, self._resources, own)
            if sock is None:
                self._shared.add(listener)
        else:
            sock = sockets.get(frontend.key)
            self._listeners[frontend.key] = listener = UdpListener(frontend, sock, pool, self._resources, own)
            if sock is None:
                self._shared_udp.add(listener)
        for key in _pools_of(frontend):
            self._by_pool.setdefault(key, set()).add(frontend.key)

    def _remove_frontend(self, key: FrontendKey) -> Steps:
        listener = self._listeners.pop(key, None)
        if listener is not None:
            self._leave_pool(listener)
            if isinstance(listener, TcpListener):
                self._shared.remove(key)
            else:
                self._shared_udp.remove(key)
            yield from listener.close(CloseReason.FRONTEND_REMOVED)

    def _leave_pool(self, listener: TcpListener | UdpListener) -> None:
        for key in _pools_of(listener.frontend):
            members = self._by_pool[key]
            members.discard(listener.frontend.key)
            if not members:
                del self._by_pool[key]

    def _remove_pool(self, pool_key: str) -> None:
        self._pools.remove(pool_key)
        self._by_pool.pop(pool_key, None)


def _pools_of(frontend: Frontend) -> tuple[str, ...]:
    return (frontend.pool, frontend.own_pool) if frontend.own_pool else (frontend.pool,)


def _alone(flow: Connection | UdpFlow, action: Callable[[], None]) -> None:
    """A defect in one flow ends that flow, and the tick goes on for all others."""
    try:
        action()
    except Exception:
        _log.exception("a flow failed at a tick")
        flow.crashed()
