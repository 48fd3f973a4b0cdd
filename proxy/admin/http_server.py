"""The proxy's HTTP: health for balancers and kubelets, and what the commands read.

Imports this room; aiohttp serves it. Invariant: nothing here changes what the proxy does, and a port that is taken
costs this server and nothing else.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from aiohttp import web

from proxy.admin.metrics import CONTENT_TYPE, exposition
from proxy.admin.report import HealthReport, ProxyReport, ProxyStatistics
from proxy.listening_site import start_site
from proxy.logs import fields

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Inspected(Protocol):
    """What the server asks of the proxy."""

    @property
    def ready(self) -> bool:
        """The first complete state listens and no drain has begun."""

    @property
    def draining(self) -> bool:
        """The proxy is on its way out."""

    @property
    def last_updated(self) -> datetime:
        """When the last change was applied."""

    def report(self) -> ProxyReport:
        """Everything at this moment."""

    def statistics(self) -> ProxyStatistics:
        """The counts of this moment."""


class HTTPServer:
    """Serves health on one address, health and the API on another. `start` and `stop` frame its life."""

    def __init__(self, inspected: Inspected) -> None:
        self._inspected = inspected
        self._runners: list[web.AppRunner] = []

    async def start(self, healthz: tuple[str, int], metrics: tuple[str, int]) -> None:
        """Listen on both addresses; one that cannot be had is reported."""
        health: dict[str, Handler] = {"/livez": self._livez, "/readyz": self._readyz, "/healthz": self._healthz}
        await self._serve("healthz", healthz, health)
        await self._serve("metrics", metrics, {**health, "/metrics": self._metrics, "/api/v1/report": self._report})

    async def stop(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, name: str, address: tuple[str, int], routes: dict[str, Handler]) -> None:
        application = web.Application()
        application.add_routes([web.get(path, handler) for path, handler in routes.items()])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        host, port = address
        try:
            await start_site(web.TCPSite(runner, host, port, reuse_address=True))
        except OSError as error:
            _log.error(
                f"cannot serve {name} on {host}:{port}: {error.strerror}: "
                f"stop what holds the port, or choose another with --{name}-bind-address",
                extra=fields(server=name),
            )
            return
        bound = runner.addresses[0]
        _log.info(f"serving {name}", extra=fields(address=f"{bound[0]}:{bound[1]}"))

    async def _livez(self, request: web.Request) -> web.Response:
        return self._health(healthy=True)

    async def _readyz(self, request: web.Request) -> web.Response:
        return self._health(healthy=self._inspected.ready)

    async def _healthz(self, request: web.Request) -> web.Response:
        return self._health(healthy=self._inspected.ready)

    async def _report(self, request: web.Request) -> web.Response:
        return _json(self._inspected.report(), 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        body = exposition(self._inspected.statistics())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    def _health(self, healthy: bool) -> web.Response:
        now = datetime.now(UTC)
        report = HealthReport(
            last_updated=(now if healthy else self._inspected.last_updated).isoformat(),
            current_time=now.isoformat(),
            node_eligible=not self._inspected.draining,
            healthy=healthy,
        )
        return _json(report, 200 if healthy else 503)


def _json(body: msgspec.Struct, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
