"""What all flows of one worker share.

Imports this room and `shared_counts`. Invariant: one instance a worker; nothing in it belongs to one frontend.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from proxy.affinity import AffinityTable
from proxy.dataplane.access_log import AccessLog
from proxy.dataplane.deadlines import Deadlines
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.envelope import EnvelopeLayout
from proxy.dataplane.flow_accounts import FlowAccounts
from proxy.dataplane.message_vector import SLOT_SIZE, MessageVector, slots_of
from proxy.dataplane.pipes import Pipes
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.reply_queue import ReplyQueue
from proxy.shared_counts.column import Column

if TYPE_CHECKING:
    from proxy.dataplane.tcp_relay import TcpRelay

_MOST_DATAGRAMS = 32
"""How many of a listener's datagrams are taken in a turn."""


class Resources:
    """`dialling` holds the relays that wait for a backend's answer, `relays` all that are open; `idle` the relays
    with an idle limit and `flows` the UDP flows, of which there are at most `most_flows`. What happens is counted in
    `column`, what flows come to by `accounts`. `on_empty` is called when the last relay ends."""

    __slots__ = (
        "_inboxes",
        "_replies",
        "_slots",
        "access_log",
        "accounts",
        "affinity",
        "column",
        "descriptors",
        "dialling",
        "flows",
        "idle",
        "most_flows",
        "on_empty",
        "pipes",
        "random",
        "reactor",
        "relays",
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
    ) -> None:
        self.reactor = reactor
        self.descriptors = descriptors
        self.affinity = affinity
        self.random = random
        self.most_flows = most_flows
        self.access_log = access_log
        self.column = column
        self.accounts = FlowAccounts()
        self.pipes = Pipes(descriptors)
        self.dialling: dict[TcpRelay, None] = {}
        self.relays: dict[TcpRelay, None] = {}
        self.idle = Deadlines()
        self.flows = Deadlines()
        self.on_empty: Callable[[], None] | None = None
        self._slots: list[memoryview] = []
        self._inboxes: dict[EnvelopeLayout, MessageVector] = {}
        self._replies: dict[EnvelopeLayout, ReplyQueue] = {}

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
