"""Connection: requests to one API server, with credentials that are fresh.

kubernetes_asyncio's REST client is imported on first use. Invariant: a refused token is never sent twice without
having been read again, and credentials are read once however many requests wait for them; whatever goes wrong on the
way is a ConnectionFailedError.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp

from proxy.sources.kubernetes_api.credentials import Credentials, CredentialsError
from proxy.sources.kubernetes_api.list_watch import Request

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration

_CONNECT_SECONDS = 10.0
# A dead peer is noticed within these, and not when the watch ends: idle, between probes, number of probes.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 4))


class ConnectionFailedError(Exception):
    """No answer was to be had; the text says why."""


class Connection:
    """Opens its sockets on the first `get`. `clock` gives seconds; credentials older than `lifetime` are read again."""

    def __init__(self, credentials: Credentials, clock: Callable[[], float], lifetime: float) -> None:
        self._credentials = credentials
        self._clock = clock
        self._lifetime = lifetime
        self._read_at: float | None = None
        self._headers: dict[str, str] = {}
        self._identity: tuple[object, ...] = ()
        self._client: Any = None
        self._refreshing = asyncio.Lock()
        self.server = ""

    def check(self) -> None:
        """Raise StartupError where no connection can ever be made."""
        self._credentials.check()

    def renew(self) -> None:
        """Read the credentials again for the next request."""
        self._read_at = None

    async def get(self, request: Request) -> aiohttp.ClientResponse:
        """The answer, of whatever status, its body unread. Raises ConnectionFailedError."""
        response = await self._ask("GET", request.path, {"Accept": request.accept}, query_params=request.query)
        _keep_alive(response)
        return response

    async def send(self, method: str, path: str, content_type: str, body: object) -> tuple[int, bytes]:
        """Write with POST or PATCH; gives the status, whatever it is, and the body. Raises ConnectionFailedError."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        response = await self._ask(method, path, headers, body=body)
        async with response:
            try:
                return response.status, await response.read()
            except (aiohttp.ClientError, OSError) as error:
                raise ConnectionFailedError(_text(error)) from error

    async def _ask(self, method: str, path: str, headers: dict[str, str], **more: object) -> aiohttp.ClientResponse:
        try:
            async with self._refreshing:
                if self._read_at is None or self._clock() - self._read_at > self._lifetime:
                    await self._refresh()
            response: aiohttp.ClientResponse = await self._client.request(
                method,
                f"{self.server}{path}",
                headers={**self._headers, **headers},
                _preload_content=False,
                _request_timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                **more,
            )
        except (aiohttp.ClientError, CredentialsError, OSError, ValueError) as error:
            raise ConnectionFailedError(_text(error)) from error
        if response.status == 401:
            self.renew()
        return response

    async def close(self) -> None:
        """End every request."""
        client, self._client = self._client, None
        self._identity, self._read_at = (), None
        if client is not None:
            await client.close()

    async def _refresh(self) -> None:
        configuration = await self._credentials.load()
        read_at = self._clock()
        # Go and curl accept such certificates, and many clusters have them.
        configuration.disable_strict_ssl_verification = True
        identity = _identity(configuration)
        if identity != self._identity:
            await self.close()
            self._client = _client(configuration)
            self._identity = identity
        self.server = str(configuration.host).rstrip("/")
        self._headers = await _headers(configuration)
        self._read_at = read_at


def _text(error: Exception) -> str:
    """One line for a person."""
    return " ".join(str(error).split()) or type(error).__name__


def _client(configuration: "Configuration") -> Any:
    from kubernetes_asyncio.client.rest import RESTClientObject

    return RESTClientObject(configuration)


async def _headers(configuration: "Configuration") -> dict[str, str]:
    # Without compression: the sync is bound by this process's time, not by the network beside it.
    headers = {"User-Agent": "svcproxy", "Accept-Encoding": "identity"}
    for setting in (await configuration.auth_settings()).values():
        headers[setting["key"].title()] = setting["value"].strip()
    return headers


def _identity(configuration: "Configuration") -> tuple[object, ...]:
    """What a TLS session depends on: a change of any of it takes a new client."""
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    return (
        configuration.host,
        configuration.verify_ssl,
        configuration.tls_server_name,
        configuration.proxy,
        *((path, os.stat(path).st_mtime_ns) if path else None for path in files),
    )


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    """Have the kernel probe the connection, where the answer is not all here already."""
    connection = response.connection
    transport = connection.transport if connection is not None else None
    raw = transport.get_extra_info("socket") if transport is not None else None
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            raw.setsockopt(socket.IPPROTO_TCP, option, value)
