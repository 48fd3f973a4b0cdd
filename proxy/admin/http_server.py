"""The proxy's HTTP: health on one address; health, metrics, the API and the page on another.

Invariant: nothing here changes what the proxy does, and a port that is taken
costs this server and nothing else.
"""

import contextlib
import logging
import os
from collections.abc import Iterable, Sequence

from aiohttp import web
from aiohttp.typedefs import Middleware

from proxy.admin.admin_token import AdminToken
from proxy.admin.answer_counts import AnswerCounts
from proxy.admin.api_routes import api_routes
from proxy.admin.broadcast import MOST_VIEWERS
from proxy.admin.first_state import first_state_required
from proxy.admin.flow_routes import flow_routes
from proxy.admin.guard import add_headers, guard, is_loopback
from proxy.admin.health_routes import health_routes
from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import errors_as_json, failure
from proxy.admin.metrics_routes import metrics_routes
from proxy.admin.name_routes import name_routes
from proxy.admin.page_routes import page_routes
from proxy.admin.stream_routes import stream_routes
from proxy.logs import fields
from proxy.plan.addresses import with_port
from proxy.serving.bounded_connections import USUAL_BOUNDS, BoundedConnections, HTTPBounds
from proxy.serving.bounded_site import BoundedSite
from proxy.serving.listening_site import start_site
from proxy.serving.unix_socket import listening_unix_socket

_UNGUARDED = (
    "the metrics address is beyond loopback and asks for no token: it answers health and metrics alone, "
    "until adminTokenFile is set"
)

_OWN_MACHINE = "127.0.0.1"
_LAST_ANSWERS = 1.0
"""Seconds that answers under way have at the end; a stream whose reader does not read ends then."""

_log = logging.getLogger(__name__)


class HTTPServer:
    """Two sites, each with its routes and so many connections at most (`bounds`). `start` and `stop` frame its life;
    `token` is what the second one asks for.

    `page_url` leads to the page once it is served, and is empty where nobody could see it. `health_address` and
    `metrics_address` are where it listens, None where it cannot.
    """

    def __init__(
        self, inspected: Inspected, token: AdminToken | None = None, bounds: HTTPBounds = USUAL_BOUNDS
    ) -> None:
        self._inspected = inspected
        self._token = token
        self._bounds = bounds
        self._runners: list[web.AppRunner] = []
        self.page_url = ""
        self.health_address: tuple[str, int] | None = None
        self.metrics_address: tuple[str, int] | None = None
        self._unix_socket = ""

    async def start(self, healthz: tuple[str, int], metrics: tuple[str, int], unix_socket: str = "") -> None:
        """Listen on both addresses, and on a Unix socket unless that is empty; what cannot be had is reported.

        Whoever may open the Unix socket is asked for no token: its file's permissions are the guard.
        """
        counts = AnswerCounts()
        health = tuple(health_routes(self._inspected, counts))
        places = BoundedConnections("metrics", self._bounds.admin, failure)
        health_places = BoundedConnections("healthz", self._bounds.health, failure)
        guarded, admin = self._admin([places.mark_busy, guard(self._token, metrics[0])], health, counts)
        if self._token is None and not is_loopback(metrics[0]):
            _log.warning(_UNGUARDED, extra=fields(address=metrics[0]))
        unguarded = web.Application(middlewares=[errors_as_json])
        self.health_address = await self._serve(healthz, unguarded, health, health_places)
        bound = self.metrics_address = await self._serve(metrics, guarded, admin, places)
        if bound is not None and (self._token is not None or is_loopback(metrics[0])):
            self.page_url = f"http://{with_port(*bound)}/"
        if unix_socket:
            await self._serve_unix(unix_socket, *self._admin([guard(None, _OWN_MACHINE)], health, counts))

    async def stop(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()
        if self._unix_socket:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._unix_socket)

    def _admin(
        self, guards: Sequence[Middleware], health: Iterable[web.RouteDef], counts: AnswerCounts
    ) -> tuple[web.Application, Iterable[web.RouteDef]]:
        """The application for everything that may be asked about the proxy, and its routes."""
        application = web.Application(middlewares=[*guards, errors_as_json, first_state_required(self._inspected)])
        application.on_response_prepare.append(add_headers)
        return application, (
            # The metrics address has a /healthz of its own, as kube-proxy's has.
            *(route for route in health if route.path != "/healthz"),
            *metrics_routes(self._inspected, counts),
            *api_routes(self._inspected),
            *flow_routes(self._inspected.flows),
            *name_routes(self._inspected.name_service),
            *page_routes(),
            # Half of the places at most, so that others are answered beside those who look on.
            *stream_routes(self._inspected, application, min(MOST_VIEWERS, self._bounds.admin // 2)),
        )

    async def _serve_unix(self, path: str, application: web.Application, routes: Iterable[web.RouteDef]) -> None:
        runner = await self._runner(application, routes)
        try:
            await start_site(web.SockSite(runner, listening_unix_socket(path)))
        except OSError as error:
            _log.error(
                f"cannot serve the admin socket {path}: {error.strerror}: choose another with --admin-socket",
                extra=fields(server="admin socket"),
            )
            return
        self._unix_socket = path
        _log.info("serving the admin socket", extra=fields(path=path))

    async def _runner(self, application: web.Application, routes: Iterable[web.RouteDef]) -> web.AppRunner:
        application.add_routes(routes)
        runner = web.AppRunner(application, shutdown_timeout=_LAST_ANSWERS)
        await runner.setup()
        self._runners.append(runner)
        return runner

    async def _serve(
        self,
        address: tuple[str, int],
        application: web.Application,
        routes: Iterable[web.RouteDef],
        connections: BoundedConnections,
    ) -> tuple[str, int] | None:
        """The address that is served, or None where it cannot be had."""
        runner = await self._runner(application, routes)
        (host, port), name = address, connections.name
        try:
            await start_site(BoundedSite(runner, connections, host, port))
        except OSError as error:
            _log.error(
                f"cannot serve {name} on {host}:{port}: {error.strerror}: "
                f"stop what holds the port, or choose another with --{name}-bind-address",
                extra=fields(server=name),
            )
            return None
        host, port = runner.addresses[0][:2]
        _log.info(f"serving {name}", extra=fields(address=with_port(host, port)))
        return host, port
