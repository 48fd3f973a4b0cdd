"""What all flows of one worker share.

Invariant: one instance a worker; nothing in it belongs to one frontend.
"""

import logging
from collections.abc import Callable
from random import Random

from proxy.affinity import AffinityTable
from proxy.dataplane.access_log import AccessLog, FlowRecord
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.buffers import Buffers
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.complaint import Complaint
from proxy.dataplane.deadlines import Deadlines
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.direction import DirectionOwner
from proxy.dataplane.ended_connections import EndedConnections
from proxy.dataplane.envelope import EnvelopeLayout
from proxy.dataplane.flow_accounts import FlowAccounts
from proxy.dataplane.message_vector import SLOT_SIZE, MessageVector, slots_of
from proxy.dataplane.pipes import Pipes
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.relay_limits import RelayLimits
from proxy.dataplane.reply_queue import ReplyQueue
from proxy.dataplane.upstream import Upstream
from proxy.shared_counts.column import Column

_MOST_DATAGRAMS = 32
"""How many of a listener's datagrams are taken in a turn."""

_log = logging.getLogger(__name__)


class Connection(DirectionOwner):
    """What is asked of a relay by those that look after all of them.

    `attempt_deadline` is when the endpoint that is being dialled must have answered (monotonic seconds).
    """

    __slots__ = ()

    attempt_deadline: float
    balancer: Balancer

    @property
    def used(self) -> float:
        """When it last did something, monotonic seconds."""
        raise NotImplementedError

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes delivered to the backend, and to the client."""
        raise NotImplementedError

    @property
    def upstream(self) -> Upstream | None:
        """The upstream that it leads to, or that is being dialled."""
        raise NotImplementedError

    @property
    def service(self) -> str:
        """The Service that the client asked for, `namespace/name`."""
        raise NotImplementedError

    @property
    def is_limited(self) -> bool:
        """Whether it may be idle for so long only."""
        raise NotImplementedError

    def deadline(self) -> float:
        """When it counts as idle."""
        raise NotImplementedError

    def attempt_overdue(self, now: float) -> None:
        """The upstream did not answer in the time it was given."""
        raise NotImplementedError

    def keep_alive(self) -> None:
        """It has lived for a while: have the kernel ask whether the backend's machine is there."""
        raise NotImplementedError

    def end(self, reason: CloseReason) -> None:
        """Close both sides and account for it. Safe to call twice."""
        raise NotImplementedError

    def record(self) -> FlowRecord:
        """What it has come to so far."""
        raise NotImplementedError


class Resources:
    """`dialling` holds the relays that wait for a backend's answer, `relays` all that are open, and `young` those that
    are not kept alive yet, with the time (monotonic seconds) of their beginning. `idle` holds the relays with an idle
    limit, `flows` the UDP flows, of which there are at most `most_flows`. What happens is counted in `column`, what
    flows come to by `accounts`; `ended` holds connections that are over and that schedulers still count. `on_empty` is
    called when the last relay ends. `no_flow` and `not_received` are said of UDP."""

    __slots__ = (
        "_inboxes",
        "_replies",
        "_slots",
        "_waiting_for_tick",
        "access_log",
        "accounts",
        "affinity",
        "buffers",
        "column",
        "descriptors",
        "dialling",
        "ended",
        "flows",
        "idle",
        "limits",
        "most_flows",
        "no_flow",
        "not_received",
        "on_empty",
        "pipes",
        "random",
        "reactor",
        "relays",
        "young",
    )

    def __init__(
        self,
        reactor: Reactor,
        descriptors: Descriptors,
        affinity: AffinityTable,
        random: Random,
        most_flows: int,
        access_log: AccessLog | None,
        column: Column,
        limits: RelayLimits = RelayLimits(),  # noqa: B008 - immutable
    ) -> None:
        self.reactor = reactor
        self.descriptors = descriptors
        self.affinity = affinity
        self.random = random
        self.most_flows = most_flows
        self.access_log = access_log
        self.column = column
        self.ended = EndedConnections(lambda: reactor.now)
        self.accounts = FlowAccounts(self.ended)
        self.pipes = Pipes(descriptors)
        self.limits = limits
        self.buffers = Buffers(limits.buffer_bytes)
        self.dialling: dict[Connection, None] = {}
        self.relays: dict[Connection, None] = {}
        self.young: dict[Connection, float] = {}
        self.idle = Deadlines()
        self.flows = Deadlines()
        self.on_empty: Callable[[], None] | None = None
        self.no_flow = Complaint(_log)
        self.not_received = Complaint(_log)
        self._waiting_for_tick: list[Callable[[], None]] = []
        self._slots: list[memoryview] = []
        self._inboxes: dict[EnvelopeLayout, MessageVector] = {}
        self._replies: dict[EnvelopeLayout, ReplyQueue] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open, and nothing is counted that has an end."""
        return not (self.relays or self.flows or self.ended)

    @property
    def awaits_tick(self) -> bool:
        """Whether anybody waits for the next tick."""
        return bool(self._waiting_for_tick)

    def at_next_tick(self, callback: Callable[[], None]) -> None:
        """Call back, once, with the next tick."""
        self._waiting_for_tick.append(callback)

    def tick(self) -> None:
        """Whoever waited for it has its turn."""
        waiting, self._waiting_for_tick = self._waiting_for_tick, []
        for callback in waiting:
            try:
                callback()
            except Exception:
                _log.exception("a listener failed at a tick")

    def inbox(self, layout: EnvelopeLayout) -> MessageVector:
        """What clients' datagrams are received with; it holds them only within one call, in slots that all share."""
        if layout not in self._inboxes:
            self._slots = self._slots or slots_of(bytearray(_MOST_DATAGRAMS * SLOT_SIZE))
            self._inboxes[layout] = MessageVector(self._slots, layout)
        return self._inboxes[layout]

    def replies(self, layout: EnvelopeLayout) -> ReplyQueue:
        """Where the answers to datagrams of this layout go."""
        if layout not in self._replies:
            self._replies[layout] = ReplyQueue(self.reactor, layout)
        return self._replies[layout]
