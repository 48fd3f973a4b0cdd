"""Reconciler: makes the listening sockets what the plan says, and tells the data plane.

Invariants: a frontend that stays keeps its sockets; one that cannot be served is reported once, retried, and keeps
nothing else from being served; a UDP frontend without a usable endpoint has no socket, since an unbound port is what
makes the kernel refuse datagrams; the sockets do what a change asks for before the data plane is told of it.
"""

import errno
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from resource import RLIMIT_NOFILE, getrlimit
from socket import socket

from proxy.capture.bind_failure import BindFailure, explain, of_fault
from proxy.capture.capture import Capture, Captured
from proxy.capture.drop_ledger import DropLedger
from proxy.capture.listening_socket import LACKING_DESCRIPTORS, is_lacking_descriptors, is_taken
from proxy.dataplane.addresses import endpoint_text, is_wildcard
from proxy.dataplane.messages import is_usable
from proxy.logs import fields
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, ServicePort
from proxy.workers.data_plane import Delivery, Sockets

_HOLDERS_NAMED = 5
"""For so many failed binds of one change the holder is looked up, which takes 20 ms each on the loop that forwards."""

_MOST_LINES = 1000
"""Of one change, so many frontends are named in the log."""

_log = logging.getLogger(__name__)


class Reconciler:
    """Holds what is wanted and what listens. `is_routed` says whether a frontend's address is local by a route alone,
    `left` is told of each frontend that is wanted no more. `changed`
    is called when a frontend begins to listen, fails or recovers. `drops` is what was dropped at the frontends."""

    def __init__(
        self,
        data_plane: Delivery,
        capture: Capture,
        is_routed: Callable[[FrontendKey], bool],
        changed: Callable[[], None] = lambda: None,
        left: Callable[[FrontendKey], None] = lambda _: None,
    ) -> None:
        self._data_plane = data_plane
        self._is_routed = is_routed
        self._tell_left = left
        self._tell = changed
        self._has_news = False
        self._capture = capture
        self.drops = DropLedger()
        self._pools: dict[str, Pool] = {}
        self._frontends: dict[FrontendKey, Frontend] = {}
        self._by_pool: dict[str, set[FrontendKey]] = {}
        self._groups: dict[FrontendKey, Captured] = {}
        self._leaving: set[FrontendKey] = set()
        self._waiting: set[FrontendKey] = set()
        self._ports: dict[tuple[str, int], set[str]] = {}
        self._failures: dict[FrontendKey, BindFailure] = {}

    @property
    def failures(self) -> Mapping[FrontendKey, BindFailure]:
        """The frontends that should be served and cannot."""
        return self._failures

    def is_listening(self, key: FrontendKey) -> bool:
        """Whether the frontend has a socket."""
        return key in self._groups

    def everything(self) -> tuple[Delta, Sockets]:
        """What a worker that starts must know."""
        frontends, groups = self._frontends, self._groups
        # What listens is a part of what is wanted, and nearly always all of it: 20,000 look-ups hold the loop.
        listening = frontends.values() if len(groups) == len(frontends) else (frontends[key] for key in groups)
        delta = Delta(pools=tuple(self._pools.values()), frontends=tuple(listening))
        own = {key: group.sockets for key, group in groups.items() if group.sockets}
        return delta, {**self._capture.shared, **own}

    def use(self, capture: Capture) -> None:
        """Take clients in another way; nothing is open yet."""
        self._capture = capture
        if capture.shared:
            self._data_plane.send(Delta(), capture.shared)

    def apply(self, delta: Delta) -> None:
        """Take a plan's delta over: sockets first, then the message."""
        touched = {frontend.key for frontend in delta.frontends}
        for pool in delta.pools:
            self._pools[pool.key] = pool
            touched |= self._by_pool.get(pool.key, set())
        for frontend in delta.frontends:
            self._want(frontend)
        for key in delta.removed_frontends:
            self._unwant(key)
        for pool_key in delta.removed_pools:
            pool = self._pools.pop(pool_key)
            self._by_pool.pop(pool_key, None)
            self.drops.forget(pool_key, partial(self._any_pool_of, pool.service_port))
        self._settle(delta, touched - set(delta.removed_frontends))

    def retry(self) -> None:
        """Try again what failed."""
        if self._failures:
            self._settle(Delta(), set(self._failures))

    def _any_pool_of(self, port: ServicePort) -> str | None:
        return next((key for key, pool in self._pools.items() if pool.service_port == port), None)

    def _want(self, frontend: Frontend) -> None:
        before = self._frontends.get(frontend.key)
        if before is not None:
            self._by_pool[before.pool].discard(frontend.key)
            if before.pool != frontend.pool:
                self.drops.leave(before.pool, frontend.key)
        self._frontends[frontend.key] = frontend
        self._by_pool.setdefault(frontend.pool, set()).add(frontend.key)

    def _unwant(self, key: FrontendKey) -> None:
        frontend = self._frontends.pop(key)
        self.drops.leave(frontend.pool, key)
        members = self._by_pool[frontend.pool]
        members.discard(key)
        if not members:
            del self._by_pool[frontend.pool]
        self._recovered(key)
        self._tell_left(key)

    def give_up(self, protocol: str) -> list[socket]:
        """Hand over the sockets of one protocol, to be closed: nothing listens there any more."""
        self._capture.stop(protocol)
        keys = [key for key in self._groups if key.protocol == protocol]
        for key in keys:
            self.drops.leave(self._frontends[key].pool, key)
        own = [sock for key in keys for sock in self._groups.pop(key).sockets]
        return own + [
            sock for key, sockets in self._capture.shared.items() if key.protocol == protocol for sock in sockets
        ]

    def close(self) -> None:
        """Let go of every socket that is left; there is no data plane any more."""
        for key, group in self._groups.items():
            self.drops.leave(self._frontends[key].pool, key)
            group.close()
        self._groups.clear()
        self._capture.close()

    def _settle(self, delta: Delta, touched: set[FrontendKey]) -> None:
        """Close what must not listen, open what must, and tell the data plane of both.

        Sockets close before others open: a port may move from one address to another within one delta.
        """
        closed = [key for key in touched if key in self._groups and not self._needs_socket(self._frontends[key])]
        closed += [key for key in delta.removed_frontends if key in self._groups]
        for key in touched:
            if not self._needs_socket(self._frontends[key]):
                self._recovered(key)
        missing = [key for key in touched if key not in self._groups and self._needs_socket(self._frontends[key])]
        staying = touched.difference(closed)
        self._settle_groups(staying)
        for key in closed:
            if key in self._frontends:
                self.drops.leave(self._frontends[key].pool, key)
            self._groups[key].leave()
        self._send(Delta(delta.pools, (), tuple(closed)), {})
        self._close_all(closed)
        opened = self._open_all(missing)
        self._settle_groups(opened)
        changed = {frontend.key for frontend in delta.frontends} | set(opened)
        frontends = tuple(self._frontends[key] for key in sorted(changed) if key in self._groups)
        self._send(Delta((), frontends, (), delta.removed_pools), self._own_sockets(opened))
        self._capture.told(self._data_plane, lambda: self._in_force(opened, staying))

    def _own_sockets(self, keys: Iterable[FrontendKey]) -> Sockets:
        groups = ((key, self._groups[key]) for key in keys)
        return {key: group.sockets for key, group in groups if group.sockets}

    def _in_force(self, opened: Sequence[FrontendKey], staying: Iterable[FrontendKey]) -> None:
        for key in (*opened, *staying):
            if key in self._groups:
                self._note_fault(key, self._groups[key].fault)
        self._announce([key for key in opened if key in self._groups and key not in self._failures])
        self._has_news |= bool(opened)
        if self._has_news:
            self._has_news = False
            self._tell()

    def _announce(self, opened: Sequence[FrontendKey]) -> None:
        if len(opened) > _MOST_LINES:
            # A line each takes as long as opening them.
            _log.info("listening", extra=fields(frontends=len(opened)))
            return
        for key in opened:
            _log.info("listening", extra=fields(frontend=_text(key), service=self._frontends[key].service))

    def _settle_groups(self, keys: Iterable[FrontendKey]) -> None:
        for key in keys:
            group = self._groups.get(key)
            if group is not None:
                frontend = self._frontends[key]
                group.settle(frontend, self._pools[frontend.pool])
                if group.drops:
                    self.drops.follow(frontend.pool, key, group)

    def _send(self, message: Delta, sockets: Sockets) -> None:
        if message:
            self._data_plane.send(message, sockets)

    def _needs_socket(self, frontend: Frontend) -> bool:
        if frontend.key.protocol == "TCP" or frontend.when_empty == "drop":
            return True
        pool = self._pools[frontend.pool]
        if is_usable(pool):
            return True
        # Drained endpoints get nothing new, but the flows they have come through the socket that there is.
        return frontend.key in self._groups and bool(pool.targets or pool.draining)

    def _open_all(self, keys: list[FrontendKey]) -> list[FrontendKey]:
        """Open what can be opened; gives those frontends, in order."""
        opened: list[FrontendKey] = []
        failures = lacking = 0
        self._capture.expect(len(keys))
        for key in sorted(keys):
            self._waiting.discard(key)
            try:
                self._groups[key] = self._open(key)
            except OSError as error:
                if is_taken(error) and self._is_leaving(key):
                    self._waiting.add(key)
                    continue
                failures += 1
                lacking += is_lacking_descriptors(error) and key not in self._failures
                self._failed(key, error, find_holder=failures <= _HOLDERS_NAMED)
                continue
            opened.append(key)
            self._recovered(key)
            self._ports.setdefault((key.protocol, key.port), set()).add(key.address)
        if lacking:
            self._lack(lacking)
        return opened

    def _lack(self, frontends: int) -> None:
        """Say once for all that there are too few descriptors; a line each would be thousands."""
        width = self._data_plane.width
        _log.error(
            f"out of file descriptors: {frontends} of {len(self._frontends)} frontends do not listen; all together "
            f"need {len(self._frontends) * width} sockets, one a worker each: raise the limit on open files (ulimit "
            "-n, LimitNOFILE), use fewer workers, or capture: sklookup",
            extra=fields(limit=getrlimit(RLIMIT_NOFILE)[0], workers=width),
        )

    def _open(self, key: FrontendKey) -> Captured:
        routed = self._is_routed(key)
        try:
            return self._capture.open(key, shared=False, routed=routed)
        except OSError as error:
            if not is_taken(error) or not self._is_in_its_own_way(key):
                raise
        return self._capture.open(key, shared=True, routed=routed)

    def _is_in_its_own_way(self, key: FrontendKey) -> bool:
        """Whether a socket of ours keeps the port, the wildcard's from an address or an address's from the wildcard.
        Two addresses never do: whoever holds this one is somebody else."""
        held = self._ports.get((key.protocol, key.port), set())
        same_family = [address for address in held if (":" in address) == (":" in key.address)]
        return bool(same_family) and (is_wildcard(key.address) or any(map(is_wildcard, same_family)))

    def _close_all(self, keys: list[FrontendKey]) -> None:
        """Our end goes now, the workers' when they get to it; until then the ports are not free."""
        if not keys:
            return
        self._leaving.update(keys)
        for key in keys:
            place = (key.protocol, key.port)
            self._ports[place].discard(key.address)
            if not self._ports[place]:
                del self._ports[place]
            _log.info("closed", extra=fields(frontend=_text(key)))
        self._data_plane.close(sock for key in keys for sock in self._groups.pop(key).sockets)
        self._data_plane.when_applied(lambda: self._left(keys))

    def _left(self, keys: list[FrontendKey]) -> None:
        """Every worker has closed its end: who waits for the port may have it."""
        self._leaving.difference_update(keys)
        waiting = {key for key in self._waiting if key in self._frontends and not self._is_leaving(key)}
        self._waiting -= waiting
        if waiting:
            self._settle(Delta(), waiting)

    def _is_leaving(self, key: FrontendKey) -> bool:
        """Whether a socket of ours that is about to close has the port."""
        return any(
            each.protocol == key.protocol and each.port == key.port and (":" in each.address) == (":" in key.address)
            for each in self._leaving
        )

    def _failed(self, key: FrontendKey, error: OSError, find_holder: bool) -> None:
        frontend = self._frontends[key]
        known = self._failures.get(key)
        if known is not None and known.frontend == frontend and known.number == error.errno:
            return
        self._note_failure(key, explain(frontend, error, find_holder))

    def _note_fault(self, key: FrontendKey, fault: OSError | None) -> None:
        """What became of a frontend that has its port."""
        if fault is None:
            self._recovered(key)
        else:
            self._note_failure(key, of_fault(self._frontends[key], fault))

    def _note_failure(self, key: FrontendKey, failure: BindFailure) -> None:
        known = self._failures.get(key)
        if known == failure:
            return
        if known is None and failure.number not in LACKING_DESCRIPTORS:
            name = errno.errorcode.get(failure.number or 0, "")
            _log.error(str(failure), extra=fields(service=failure.frontend.service, error=name))
        self._failures[key] = failure
        self._has_news = True

    def _recovered(self, key: FrontendKey) -> None:
        if self._failures.pop(key, None) is not None:
            self._has_news = True


def _text(key: FrontendKey) -> str:
    return f"{endpoint_text(key.address, key.port)}/{key.protocol}"
