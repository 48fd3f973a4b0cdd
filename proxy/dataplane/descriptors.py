"""The budget of file descriptors that the data plane may hold. Pure; the clock is an argument.

Counted rather than met: the control process's health and admin sockets need descriptors too when the limit is reached,
so the data plane stops short of it. Connections and UDP flows share what listening sockets leave.

Invariants: nothing is taken that is not free but by `occupy`; a part is kept for connections, which flows never take,
and a smaller one for flows; whoever waits for descriptors is called once when some return, in the order of waiting.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from proxy.dataplane.complaint import Complaint

STREAM_FLOOR: Final = 4
"""One part of so many is kept for connections, where there is a TCP frontend."""
FLOW_FLOOR: Final = 8
"""One part of so many is kept for UDP flows, where there is a UDP frontend. Flows beyond it give way to connections."""
ENDPOINT_SHARE: Final = 4
"""The last part of so many is not for connections to an endpoint that has as much already. A Service that leads back to
itself through another proxy would otherwise take everything, two descriptors a round."""

_log = logging.getLogger(__name__)


class Descriptors:
    """`capacity` is how many the data plane may hold, `free` how many it does not. `flows` are those of UDP flows; they
    give way beyond `flow_floor`. Connections leave `kept_for_flows`, and where less than `scarcity` are to be had, no
    endpoint gets more of them that has as many already."""

    __slots__ = (
        "_exhaustion",
        "_listeners",
        "_listening",
        "_stream_floor",
        "_waiting",
        "_yielding",
        "capacity",
        "flow_floor",
        "flows",
        "free",
        "kept_for_flows",
        "scarcity",
    )

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.free = capacity
        self.flows = 0
        self.flow_floor = self.kept_for_flows = self.scarcity = 0
        self._listeners = self._stream_floor = self._yielding = 0
        self._listening = {"TCP": 0, "UDP": 0}
        self._exhaustion = Complaint(_log)
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def is_enough(self, connections: int, taken: int = 0) -> bool:
        """Whether an endpoint that has so many gets no more of them now. `taken` is what the one in question holds."""
        return self.free + self._yielding + taken < self.scarcity <= 2 * connections

    def listen(self, protocol: str) -> None:
        """Count a socket of a "TCP" or "UDP" frontend that is there already, by which `free` may fall below zero."""
        self.free -= 1
        self._listening[protocol] += 1
        self._share()

    def stop_listening(self, protocol: str) -> None:
        """The socket is closed."""
        self._listening[protocol] -= 1
        self._share()
        self.give(1)

    def take(self, count: int) -> bool:
        """Take `count` descriptors for connections if there are as many; all or nothing."""
        if count > self.free - self.kept_for_flows:
            return False
        self.free -= count
        return True

    def take_flow(self) -> bool:
        """Take one for a UDP flow, if connections do not need it."""
        if self._waiting and self.flows >= self.flow_floor:
            return False
        streams = self.capacity - self._listeners - self.free - self.flows
        if self.free <= max(0, self._stream_floor - streams):
            return False
        self.free -= 1
        self.flows += 1
        self._keep()
        return True

    def give_flow(self) -> None:
        """Give back a flow's."""
        self.put_back_flow()
        if self._waiting:
            self.wake()

    def put_back_flow(self) -> None:
        """As `put_back`, for a flow's."""
        self.free += 1
        self.flows -= 1
        self._keep()

    def occupy(self, count: int) -> None:
        """Count descriptors that are there already, such as those of clients, who are accepted only while enough is
        free."""
        self.free -= count

    def give(self, count: int) -> None:
        """Give back; the longest waiting caller gets its turn for each pair that is free."""
        self.free += count
        if self._waiting:
            self.wake()

    def put_back(self, count: int) -> None:
        """Undo a `take` that came to nothing. Nobody is woken: where the system refuses what the count allows, two that
        wait would wake each other without end."""
        self.free += count

    def report_exhaustion(self, now: float) -> None:
        """Say that clients have to wait, at most once in a while."""
        self._exhaustion.make(
            now,
            f"out of file descriptors: {self.capacity - self.free} of {self.capacity} are in use, a connection "
            "takes two; clients wait until some return: raise the limit on open files (ulimit -n, LimitNOFILE)",
        )

    def wait(self, callback: Callable[[], None]) -> None:
        """Call back, once, when two descriptors are free."""
        self._waiting.append(callback)

    def wake(self) -> None:
        """Give one caller another try for each pair that is free, the longest waiting first: the system may have
        refused although the count allowed it."""
        for _ in range(min(len(self._waiting), (self.free - self.kept_for_flows) // 2)):
            self._waiting.popleft()()

    def _share(self) -> None:
        """Divide what listening sockets leave."""
        self._listeners = sum(self._listening.values())
        shared = max(0, self.capacity - self._listeners)
        self._stream_floor = shared // STREAM_FLOOR if self._listening["TCP"] else 0
        self.flow_floor = shared // FLOW_FLOOR if self._listening["UDP"] else 0
        self.scarcity = shared // ENDPOINT_SHARE
        self._keep()

    def _keep(self) -> None:
        self.kept_for_flows = max(0, self.flow_floor - self.flows)
        self._yielding = max(0, self.flows - self.flow_floor)
