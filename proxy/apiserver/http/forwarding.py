"""Forwards HTTP to a pod or an endpoint of a Service, as the API server's proxy subresource does.

After k8s.io/apimachinery/pkg/util/proxy. Invariant: the client's token goes no further than this; what comes back is
sent on as it comes, and a redirect within the forwarded server leads through the same path again.
"""

import ssl
from collections.abc import Mapping
from random import Random
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from proxy.apiserver import status
from proxy.apiserver.http.proxy_location import ProxyTarget, location
from proxy.apiserver.storage.store import Store

_CONNECT_SECONDS = 10.0
_HOP_BY_HOP = (
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
)


class Forwarding:
    """Opens its connections on the first request; `close` ends them."""

    def __init__(self, store: Store, random: Random) -> None:
        self._store = store
        self._random = random
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def answer(self, request: web.Request, target: ProxyTarget) -> web.StreamResponse:
        """What the pod or endpoint answers. Raises StatusError (400, 404, 503)."""
        if not target.path and request.method in ("GET", "HEAD"):
            query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
            return web.Response(status=301, headers={"Location": f"{target.prefix}/{query}"})
        place = location(self._store, target, self._random)
        url = URL(f"{place}{target.path or '/'}", encoded=True)
        if request.rel_url.raw_query_string:
            url = URL(f"{url}?{request.rel_url.raw_query_string}", encoded=True)
        try:
            answered = await self._opened().request(
                request.method,
                url,
                headers=_headers(request),
                data=await request.read() or None,
                allow_redirects=False,
                ssl=_unverified() if target.scheme == "https" else True,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise status.service_unavailable(f"error trying to reach service: {reason}") from error
        async with answered:
            return await _passed_on(request, answered, target, place)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(
                timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _passed_on(
    request: web.Request, answered: aiohttp.ClientResponse, target: ProxyTarget, place: str
) -> web.StreamResponse:
    headers = _without_hops(answered.headers)
    if "Location" in headers:
        headers["Location"] = _location(headers["Location"], target, place)
    response = web.StreamResponse(status=answered.status, reason=answered.reason, headers=headers)
    await response.prepare(request)
    try:
        if request.method != "HEAD":
            async for chunk in answered.content.iter_any():
                await response.write(chunk)
        await response.write_eof()
    except aiohttp.ClientError:
        # The answer has begun, so its end is cut off: a client must not take a part for the whole.
        if request.transport is not None:
            request.transport.abort()
    return response


def _headers(request: web.Request) -> CIMultiDict[str]:
    headers = _without_hops(request.headers)
    for name in ("Authorization", "Host", "Content-Length"):
        headers.popall(name, None)
    if request.remote:
        headers["X-Forwarded-For"] = ", ".join([*request.headers.getall("X-Forwarded-For", []), request.remote])
    headers["X-Forwarded-Host"], headers["X-Forwarded-Proto"] = request.host, "https"
    headers["X-Forwarded-Uri"] = request.rel_url.raw_path
    return headers


def _without_hops(headers: Mapping[str, str]) -> CIMultiDict[str]:
    kept: CIMultiDict[str] = CIMultiDict(headers)
    named = (word.strip() for value in kept.getall("Connection", []) for word in value.split(","))
    for name in (*_HOP_BY_HOP, *filter(None, named)):
        kept.popall(name, None)
    return kept


def _location(sent: str, target: ProxyTarget, place: str) -> str:
    """A redirect within the forwarded server, through this one."""
    there, here = urlsplit(sent), urlsplit(place)
    if there.netloc not in ("", here.netloc) or not there.path.startswith("/"):
        return sent
    return f"{target.prefix}{there.path}{f'?{there.query}' if there.query else ''}"


def _unverified() -> ssl.SSLContext:
    """Pods have certificates that nobody here can check; the API server does not either."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
