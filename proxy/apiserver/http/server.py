"""The API server: TLS on this machine, the token at the door, and Status for everything that goes wrong.

Invariant: no object is answered without the token, and nothing that a client sends gets it a stack trace.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from random import Random

from aiohttp import web

from proxy.apiserver import status
from proxy.apiserver.http.answer import add_warnings, status_answer
from proxy.apiserver.http.api_metrics import APIMetrics
from proxy.apiserver.http.authentication import require_token
from proxy.apiserver.http.certificate import ServingCertificate
from proxy.apiserver.http.forwarding import Forwarding
from proxy.apiserver.http.information import information
from proxy.apiserver.http.proxy_location import proxy_target_of
from proxy.apiserver.http.resources import Resources
from proxy.apiserver.http.target import target_of
from proxy.apiserver.storage.store import Store
from proxy.apiserver.writes.operations import Operations
from proxy.logs import fields
from proxy.serving.bounded_connections import USUAL_BOUNDS, BoundedConnections
from proxy.serving.bounded_site import BoundedSite
from proxy.serving.listening_site import start_site
from proxy.startup_error import StartupError

LARGEST_BODY = 3 * 1024 * 1024
KEEP_ALIVE = 90.0
"""Seconds; the API server's, which is how long client-go keeps a connection that it does not use."""
BODY_SECONDS = 5.0
"""So long a client may take to send the body that it announced; until then it has a connection that others need."""
_SHUTDOWN_SECONDS = 2.0

_log = logging.getLogger(__name__)


class APIServer:
    """Serves `store` and `operations` between `start` and `stop`, on so many connections at `most`."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        certificate: ServingCertificate,
        token: str,
        random: Random,
        most: int = USUAL_BOUNDS.api,
    ) -> None:
        self._store = store
        # One thread: with several, each of them would have its turn before the loop has.
        self._decoder = ThreadPoolExecutor(1, "decode")
        self._resources = Resources(store, operations, self._decoder, random)
        self._forwarding = Forwarding(store, random)
        self._metrics = APIMetrics(store)
        self._certificate = certificate
        self._token = token
        self._connections = BoundedConnections(
            "Kubernetes API", most, _failure, HTTPStatus.TOO_MANY_REQUESTS, KEEP_ALIVE
        )
        self._runner: web.AppRunner | None = None

    async def start(self, address: tuple[str, int]) -> str:
        """Listen on `address`, with port 0 on any free port; gives the URL. Raises StartupError."""
        application = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._connections.mark_busy])
        application.on_response_prepare.append(_warn)
        application.router.add_route("*", r"/{path:[\s\S]*}", self._answer)
        # A client that goes away takes its watch along; a write that has begun is finished all the same.
        runner = web.AppRunner(application, shutdown_timeout=_SHUTDOWN_SECONDS, handler_cancellation=True)
        await runner.setup()
        self._runner = runner
        host, port = address
        try:
            await start_site(BoundedSite(runner, self._connections, host, port, self._certificate.context))
        except OSError as error:
            raise StartupError(
                f"cannot serve the Kubernetes API on {host}:{port}: {error.strerror}: "
                "stop what holds the port, or choose another with --api-bind-address"
            ) from error
        bound_host, bound_port = runner.addresses[0][:2]
        return f"https://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}"

    async def stop(self) -> None:
        """End the watches, let other requests finish, and stop listening."""
        self._store.end_watches()
        await self._forwarding.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._decoder.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        response = await self._answered(request)
        self._metrics.count(request, target_of(request.path), response.status)
        return response

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._handled(request)
        except status.StatusError as error:
            return status_answer(request, error.status)
        except web.HTTPRequestEntityTooLarge:
            return status_answer(request, status.too_large(LARGEST_BODY).status)
        except ConnectionResetError:
            raise
        except Exception:
            _log.exception("request failed", extra=fields(method=request.method, path=request.path))
            return status_answer(request, status.internal("see the log of svcproxy").status)

    async def _handled(self, request: web.Request) -> web.StreamResponse:
        require_token(request, self._token)
        if request.body_exists:
            await _receive(request)
        forwarded = proxy_target_of(request.rel_url.raw_path)
        if forwarded is not None:
            return await self._forwarding.answer(request, forwarded)
        target = target_of(request.path)
        if target is not None:
            return await self._resources.answer(request, target)
        answer = self._metrics.answer() if request.path == "/metrics" else information(request)
        if answer is None:
            raise status.path_not_found()
        if request.method not in ("GET", "HEAD"):
            raise status.method_not_allowed()
        return answer


async def _receive(request: web.Request) -> None:
    """Have the body, which aiohttp keeps. Raises StatusError for one that is too long in coming."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await request.read()
    except TimeoutError as error:
        raise status.body_timeout(BODY_SECONDS) from error


async def _warn(request: web.Request, response: web.StreamResponse) -> None:
    """Whoever asks for a kind that has a successor is told, whatever becomes of the request."""
    target = target_of(request.path)
    if target is not None and target.kind.deprecation:
        add_warnings(response, (target.kind.deprecation,))


def _failure(code: int, line: str) -> web.Response:
    """What is said before or after a request is the API's: of a full server, and of what is no HTTP."""
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return status_answer(None, status.too_many_requests(line).status)
    if code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return status_answer(None, status.bad_request(line).status)
    return status_answer(None, status.internal(line).status)
