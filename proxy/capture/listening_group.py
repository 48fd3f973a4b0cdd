"""The listening sockets of one frontend: one a worker, in the workers' order, and what is done to all of them.

Invariants: the sockets stay bound for as long as the frontend is wanted, whoever dies meanwhile; whatever changes, they
listen in the workers' order, because that order is what steering counts in.
"""

import logging
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from proxy.capture.drop_meter import DropCause, DropMeter, cause_of, drops_of
from proxy.capture.gate import Gate, filter_sources, gate_of, let_in
from proxy.capture.listening_socket import open_listening_socket
from proxy.capture.steering import steer, steered_by, stop_steering
from proxy.dataplane.messages import is_usable
from proxy.dataplane.tcp_acceptor import BACKLOG
from proxy.plan.frontend import Frontend, FrontendKey, Pool
from proxy.schedulers.scheduler import KeyedBy

_Filter = tuple[DropCause | None, tuple[str, ...] | None]
"""Why packets are dropped, and whose are not (`let_in`)."""

_log = logging.getLogger(__name__)


class ListeningGroup:
    """Opened by `open_group`. `settle` makes the sockets do what the frontend and its pool ask for."""

    __slots__ = ("_filter", "_gate", "_meter", "_steered", "fault", "sockets")

    def __init__(self, sockets: tuple[socket.socket, ...]) -> None:
        self._filter: _Filter | None = (None, None)
        self._gate = Gate.OPEN
        self._meter: DropMeter | None = None
        self._steered = KeyedBy.NOTHING
        self.fault: OSError | None = None
        self.sockets = sockets

    @property
    def drops(self) -> bool:
        return self._meter is not None

    def take_drops(self) -> Counter[DropCause]:
        return self._meter.take() if self._meter is not None else Counter()

    def settle(self, frontend: Frontend, pool: Pool) -> None:
        """Open or shut the gate, filter the sources, steer: whatever is not yet as it should be."""
        gate = gate_of(frontend, is_usable(pool))
        try:
            self._filter_sources(frontend, gate)
            self._set_gate(frontend.key, Gate.OPEN if frontend.key.protocol == "UDP" else gate, pool)
        except OSError as error:
            self.fault = error
        else:
            self.fault = None

    def _filter_sources(self, frontend: Frontend, gate: Gate) -> None:
        cause, sources = cause_of(frontend, gate), let_in(frontend, gate)
        if (cause, sources) == self._filter:
            return
        # Until every socket has it, none is taken to have any.
        self._filter = None
        self._attribute(cause)
        for sock in self.sockets:
            filter_sources(sock, sources)
        self._filter = cause, sources

    def _set_gate(self, key: FrontendKey, gate: Gate, pool: Pool) -> None:
        steered = steered_by(pool) if len(self.sockets) > 1 else KeyedBy.NOTHING
        if gate is Gate.REFUSED and self._gate is not Gate.REFUSED:
            self._refuse()
        if steered is not self._steered and gate is not Gate.REFUSED:
            self._steer(key, steered)
        if gate is not Gate.REFUSED and self._gate is Gate.REFUSED:
            self._listen()
        self._gate = gate

    def leave(self) -> None:
        """Take clients as before: those who are in the queue when the workers hear of it are theirs."""

    def close(self) -> None:
        """Close the control process's end of every socket."""
        for sock in self.sockets:
            sock.close()

    def _attribute(self, cause: DropCause | None) -> None:
        """What the sockets drop from now on is dropped for this reason."""
        if cause is not None and self._meter is None:
            self._meter = DropMeter(lambda: drops_of(self.sockets))
        if self._meter is not None:
            self._meter.attribute(cause)

    def _refuse(self) -> None:
        for sock in self.sockets:
            sock.shutdown(socket.SHUT_RD)
            # Without it anybody with SO_REUSEADDR could take the port of a socket that does not listen.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        # The program goes with the group of listening sockets.
        self._steered = KeyedBy.NOTHING

    def _listen(self) -> None:
        for sock in self.sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for sock in self.sockets:
            sock.listen(BACKLOG)

    def _steer(self, key: FrontendKey, steered: KeyedBy) -> None:
        """The first socket brings the program into the group, even before it listens."""
        self._steered = steered
        try:
            if steered is KeyedBy.NOTHING:
                with suppress(FileNotFoundError):
                    stop_steering(self.sockets[0])
            else:
                steer(self.sockets[0], len(self.sockets), steered)
        except OSError as error:
            _log.error("clients of %s may meet several workers, each with its own memory of them: %s", key, error)


def open_group(key: FrontendKey, count: int, shared: bool = False, routed: bool = False) -> ListeningGroup:
    """So many sockets for one frontend, the first bound alone unless it is `shared`. Raises OSError, with none open."""
    sockets: list[socket.socket] = []
    try:
        sockets += _open_all(key, count, shared, routed)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return ListeningGroup(tuple(sockets))


def _open_all(key: FrontendKey, count: int, shared: bool, routed: bool) -> Iterator[socket.socket]:
    for number in range(count):
        yield open_listening_socket(key, shared=shared or number > 0, routed=routed)
