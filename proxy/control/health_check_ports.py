"""The listeners of healthCheckNodePorts: opened and closed as Services come and go.

Invariants: a port listens exactly while a Service has it; one that cannot be bound is reported once, retried, and costs
nothing else; how many connections the data plane has makes no difference here; however many ports there are, some
descriptors are left for the rest; at the end no client keeps the process.
"""

import asyncio
import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

from proxy.admin.health_check_answer import health_check_answer
from proxy.admin.json_answer import failure
from proxy.capture.port_holder import Place, holders_of
from proxy.logs import fields
from proxy.model.problem import Problem
from proxy.plan.addresses import family_of, with_port
from proxy.plan.health_check import HealthCheck
from proxy.serving.bounded_connections import USUAL_BOUNDS, BoundedConnections

RETRY = 5.0
"""Seconds between two tries for a port that is taken."""

_KEEP_ALIVE = 15.0
_LAST_ANSWERS = 1.0
"""Seconds that answers under way have at the end."""

_log = logging.getLogger(__name__)


class HealthCheckPorts:
    """`apply` says what is wanted, `run` is the task that opens and closes. `is_healthy` is asked with each answer,
    `on_failure` called when there is a new one among `problems`. All ports together have `most` connections, and none
    takes a descriptor of number `descriptors` or above. `hold` hears how many listen more than before, or less."""

    def __init__(
        self,
        is_healthy: Callable[[], bool],
        on_failure: Callable[[], None],
        hold: Callable[[int], None],
        most: int = USUAL_BOUNDS.health,
        descriptors: int = sys.maxsize,
    ) -> None:
        self._is_healthy = is_healthy
        self._on_failure = on_failure
        self._hold = hold
        self._descriptors = descriptors
        self._http = web.Server(self._answer)
        self._connections = BoundedConnections("health checks", most, failure, keep_alive=_KEEP_ALIVE)
        self._checks: tuple[HealthCheck, ...] = ()
        self._addresses: tuple[str, ...] = ()
        self._by_port: dict[tuple[str, int], HealthCheck] = {}
        self._servers: dict[Place, asyncio.AbstractServer] = {}
        self._failures: dict[Place, Problem] = {}
        self._changed = asyncio.Event()

    @property
    def listening(self) -> Iterable[Place]:
        """Where there is a listener now."""
        return self._servers.keys()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The ports that should listen and cannot."""
        return tuple(self._failures.values())

    def apply(self, checks: tuple[HealthCheck, ...], addresses: tuple[str, ...]) -> None:
        """Want these, on these addresses of the node."""
        if checks is self._checks and addresses == self._addresses:
            return
        self._checks, self._addresses = checks, addresses
        self._by_port = {(check.family, check.port): check for check in reversed(checks)}
        self._changed.set()

    async def run(self) -> None:
        """Follow what is wanted until cancelled; then nothing listens any more."""
        try:
            while True:
                try:
                    async with asyncio.timeout(RETRY if self._failures else None):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                self._changed.clear()
                await self._settle(self._wanted())
        finally:
            for place in list(self._servers):
                self._close(place)
            # Who says nothing is hung up on at once; without a limit, one silent client would keep the process.
            self._http.pre_shutdown()
            await self._http.shutdown(_LAST_ANSWERS)

    def _wanted(self) -> dict[Place, HealthCheck]:
        return {
            (address, port): check
            for (family, port), check in self._by_port.items()
            for address in self._addresses
            if family_of(address) == family
        }

    async def _settle(self, wanted: Mapping[Place, HealthCheck]) -> None:
        for place in [place for place in self._servers if place not in wanted]:
            self._close(place)
        self._failures = {place: problem for place, problem in self._failures.items() if place in wanted}
        failed: dict[Place, OSError] = {}
        for place, check in wanted.items():
            if place not in self._servers:
                try:
                    await self._open(place, check)
                except OSError as error:
                    failed[place] = error
        news = {place: error for place, error in failed.items() if self._is_news(place, wanted[place])}
        await self._report(news, wanted)

    async def _open(self, place: Place, check: HealthCheck) -> None:
        """Listen there. Raises OSError, with nothing open."""
        loop = asyncio.get_running_loop()
        connections, sock = self._connections, self._listening_socket(place)
        try:
            # In two steps, for a cancelled create_server forgets what it opened.
            server = await loop.create_server(
                lambda: connections.next(self._http), sock=sock, start_serving=False, backlog=connections.backlog
            )
        except OSError:
            sock.close()
            raise
        self._servers[place] = server
        self._hold(1)
        try:
            await server.start_serving()
        except OSError:
            self._close(place)
            raise
        self._failures.pop(place, None)
        _log.info("health check listening", extra=fields(address=with_port(*place), service=_name(check)))

    def _is_news(self, place: Place, check: HealthCheck) -> bool:
        """Whether nobody was told yet that this Service's port does not listen there."""
        known = self._failures.get(place)
        return known is None or known.subject != _subject(check)

    async def _report(self, failed: Mapping[Place, OSError], wanted: Mapping[Place, HealthCheck]) -> None:
        """Tell why these do not listen; who holds the ports is looked up once for all, and not on the loop."""
        if not failed:
            return
        taken = [place for place, error in failed.items() if error.errno == errno.EADDRINUSE]
        holders = await asyncio.to_thread(holders_of, "TCP", taken) if taken else {}
        for place, error in failed.items():
            check = wanted[place]
            reason = _reason(place, error, holders.get(place, ""))
            message = f"cannot listen on {with_port(*place)} for health checks: {reason}"
            _log.error(message, extra=fields(service=_name(check)))
            self._failures[place] = Problem(message, _subject(check), reason="FailedToStartServiceHealthcheck")
            self._on_failure()

    def _close(self, place: Place) -> None:
        self._servers.pop(place).close()
        self._hold(-1)
        _log.info("health check closed", extra=fields(address=with_port(*place)))

    def _listening_socket(self, place: Place) -> socket.socket:
        """Raises OSError."""
        sock = _listening_socket(place)
        # The kernel gives the lowest number that is free, so the number says how many are taken.
        if sock.fileno() >= self._descriptors:
            sock.close()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return sock

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        """Whatever the path and the method are."""
        transport = request.transport
        address, port = transport.get_extra_info("sockname")[:2] if transport is not None else ("", 0)
        check = self._by_port.get((family_of(address), port))
        if check is None:
            return web.Response(status=503, text="the Service is gone")
        return health_check_answer(check, self._is_healthy())


def _listening_socket(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(place)
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def _name(check: HealthCheck) -> str:
    return "/".join(check.service)


def _subject(check: HealthCheck) -> str:
    return f"Service {_name(check)}"


def _reason(place: Place, error: OSError, holder: str) -> str:
    if error.errno == errno.EMFILE:
        return "too few file descriptors: raise the limit on open files (ulimit -n, LimitNOFILE)"
    if error.errno != errno.EADDRINUSE:
        return error.strerror or str(error)
    return f"port {place[1]} is taken{f' by {holder}' if holder else ''}: stop it, or give the Service another port"
