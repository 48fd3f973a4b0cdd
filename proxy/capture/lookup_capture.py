"""LookupCapture: each frontend is an entry of a map in the kernel, where a program of type sk_lookup finds one of a
few shared sockets for its clients. Takes CAP_BPF and CAP_NET_ADMIN, and no descriptor for a frontend.

Invariants: a client is let in only when every worker knows the frontend, and refused before any worker forgets it; a
port that somebody else listens on is not taken from them.
"""

import contextlib
import errno
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.socket_lookup import Entry, SocketLookup
from proxy.bpf.verdict import Verdict
from proxy.capture.drop_meter import DropCause, DropMeter, cause_of
from proxy.capture.gate import Gate, gate_of, let_in
from proxy.capture.listening_socket import bind_only
from proxy.capture.ports_in_use import ports_in_use
from proxy.capture.shared_sockets import give_to, open_shared_groups
from proxy.capture.steering import must_steer
from proxy.capture.unprivileged_ports import USUAL_START, first_unprivileged_port
from proxy.dataplane.messages import is_usable
from proxy.plan.frontend import Frontend, FrontendKey, Pool
from proxy.workers.data_plane import Delivery, Sockets

DESCRIPTORS = 10
"""What is open beside the sockets that workers have as well: maps, the link, the sockets that ignore."""

_MANY = 100
"""For so many frontends the kernel is asked once for all ports, which takes as long as some twenty binds."""

_LETS_IN = (Verdict.SPREAD, Verdict.STEERED)


class LookupCapture:
    """In force from its making until `close`. Making it raises OSError, BpfError where it is not permitted."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._entries: dict[FrontendKey, Entry] = {}
        self._put: dict[FrontendKey, Entry] = {}
        self._changed: set[FrontendKey] = set()
        self._refused: dict[FrontendKey, BpfError] = {}
        self._in_use: Mapping[str, frozenset[int]] | None = None
        self._unprivileged = USUAL_START
        with contextlib.ExitStack() as stack:
            self._lookup = SocketLookup()
            stack.callback(self._lookup.close)
            self._groups = tuple(group for each in ("TCP", "UDP") for group in open_shared_groups(stack, each, width))
            give_to(self._lookup, self._groups)
            self._stack = stack.pop_all()

    @property
    def shared(self) -> Sockets:
        return {group.key: group.sockets for group in self._groups if group.verdict in _LETS_IN}

    def expect(self, frontends: int) -> None:
        """Look once for all where that is quicker than to try each port."""
        self._in_use = None
        if frontends >= _MANY:
            self._unprivileged = first_unprivileged_port()
            with contextlib.suppress(OSError):
                self._in_use = ports_in_use()

    def open(self, key: FrontendKey, shared: bool, routed: bool) -> "LookupPlace":
        if self._is_surely_free(key, routed):
            return LookupPlace(self, key)
        try:
            bind_only(key, shared=shared, routed=routed).close()
        except OSError as error:
            # An entry needs no permission for low ports, so nor does it need to be able to ask who has this one. UDP
            # does: its answers leave from a socket that a worker, with our capabilities, binds there.
            if error.errno != errno.EACCES or key.protocol == "UDP":
                raise
        return LookupPlace(self, key)

    def _is_surely_free(self, key: FrontendKey, routed: bool) -> bool:
        """Whether a bind could only succeed: a routed address is bound to whether it is there or not."""
        if self._in_use is None or not routed or key.port in self._in_use[key.protocol]:
            return False
        return key.protocol == "TCP" or key.port >= self._unprivileged

    def want(self, key: FrontendKey, entry: Entry) -> None:
        """What shall become of the frontend's clients: with `told` where they are let in now and were not before, since
        the workers must know the frontend first, and at once otherwise."""
        self._entries[key] = entry
        before = self._put.get(key)
        if before == entry:
            self._changed.discard(key)
        elif entry.verdict in _LETS_IN and (before is None or before.verdict not in _LETS_IN):
            self._changed.add(key)
        else:
            self._apply((key,))

    def fault_of(self, key: FrontendKey) -> BpfError | None:
        """Why the kernel did not take the frontend's newest entry, if so."""
        return self._refused.get(key)

    def forget(self, key: FrontendKey) -> None:
        """Leave the frontend's clients to the kernel, which refuses them."""
        self._entries.pop(key, None)
        self._refused.pop(key, None)
        self._changed.discard(key)
        if self._put.pop(key, None) is not None:
            self._lookup.remove(*key)

    def dropped(self, key: FrontendKey) -> int:
        """How many packets for the frontend were dropped since it came."""
        return self._lookup.dropped(*key)

    def told(self, data_plane: Delivery, then: Callable[[], None]) -> None:
        self._in_use = None
        changed, self._changed = self._changed, set()

        def apply() -> None:
            self._apply(changed)
            then()

        data_plane.when_applied(apply)

    def stop(self, protocol: str) -> None:
        for group in self._groups:
            if group.key.protocol == protocol:
                self._lookup.withdraw(protocol, group.sockets[0].family, group.verdict)

    def close(self) -> None:
        self._entries.clear()
        self._stack.close()

    def _apply(self, keys: Iterable[FrontendKey]) -> None:
        """Put the newest entry of each that is still wanted."""
        entries = {key: self._entries[key] for key in keys if key in self._entries}
        try:
            self._lookup.put(entries.values())
        except BpfError:
            # Which of them the kernel refuses is only known one by one.
            for key, entry in entries.items():
                self._apply_alone(key, entry)
            return
        self._note(entries)

    def _apply_alone(self, key: FrontendKey, entry: Entry) -> None:
        """Put one entry. Where the kernel refuses it, it refuses the clients: the old one may let in too many."""
        try:
            self._lookup.put((entry,))
        except BpfError as error:
            self._lookup.remove(*key)
            self._put.pop(key, None)
            self._refused[key] = error
        else:
            self._note({key: entry})

    def _note(self, entries: Mapping[FrontendKey, Entry]) -> None:
        self._put |= entries
        if self._refused:
            for key in entries:
                self._refused.pop(key, None)


class LookupPlace:
    """A frontend of a LookupCapture."""

    __slots__ = ("_capture", "_key", "_meter")

    sockets = ()

    def __init__(self, capture: LookupCapture, key: FrontendKey) -> None:
        self._capture = capture
        self._key = key
        self._meter: DropMeter | None = None

    @property
    def fault(self) -> OSError | None:
        return self._capture.fault_of(self._key)

    @property
    def drops(self) -> bool:
        return self._meter is not None

    def take_drops(self) -> Counter[DropCause]:
        return self._meter.take() if self._meter is not None else Counter()

    def settle(self, frontend: Frontend, pool: Pool) -> None:
        verdict = verdict_of(frontend, pool, self._capture.width)
        cause = cause_of(frontend, gate_of(frontend, is_usable(pool)))
        if cause is not None and self._meter is None:
            self._meter = DropMeter(lambda: self._capture.dropped(self._key))
        if self._meter is not None:
            self._meter.attribute(cause)
        sources = let_in(frontend, gate_of(frontend, is_usable(pool)))
        self._capture.want(self._key, Entry(*self._key, verdict, sources or ()))

    def leave(self) -> None:
        self._capture.forget(self._key)

    def close(self) -> None:
        self._capture.forget(self._key)


def verdict_of(frontend: Frontend, pool: Pool, width: int) -> Verdict:
    """What becomes of a frontend's clients, with so many workers."""
    gate = gate_of(frontend, is_usable(pool))
    if gate is Gate.REFUSED:
        return Verdict.REFUSED
    if let_in(frontend, gate) == ():
        return Verdict.IGNORED
    return Verdict.STEERED if width > 1 and must_steer(pool) else Verdict.SPREAD
