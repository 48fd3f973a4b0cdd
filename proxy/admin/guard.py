"""Who may read the admin address, and what a browser may do with what it reads.

Invariants: with a token, nothing is answered without it; without one, an address that other machines reach answers
health and metrics alone, and one that is this machine's own answers no name that a web site could have made to lead
here (DNS rebinding).
"""

from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.admin.admin_token import AdminToken
from proxy.admin.json_answer import failure

OPEN_PATHS = frozenset(("/healthz", "/livez", "/metrics", "/readyz"))
"""What an address beyond loopback answers without a token, as kube-proxy's does."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)

_CHALLENGES = ('Bearer realm="svcproxy"', 'Basic realm="svcproxy: the password is the token", charset="UTF-8"')
"""A header each: browsers do not find a second one in a line."""

_ASK_FOR_TOKEN = "the token of adminTokenFile is needed: send `Authorization: Bearer TOKEN`"
_NOT_BEYOND_LOOPBACK = (
    "only health and metrics are answered beyond loopback without a token: set adminTokenFile, "
    "or let metricsBindAddress be a loopback address"
)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches the address."""
    return ip_address(host).is_loopback


def guard(token: AdminToken | None, host: str) -> Middleware:
    """The middleware of an admin address bound to `host`."""
    local = is_loopback(host)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return _refusal(request, token, local) or await handler(request)

    return guarded


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For the signal on_response_prepare: every answer, a stream's and an error's too, has the headers."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def _refusal(request: web.Request, token: AdminToken | None, local: bool) -> web.Response | None:
    if token is not None and not token.admits(request.headers.get("Authorization", "")):
        refused = failure(401, _ASK_FOR_TOKEN)
        for challenge in _CHALLENGES:
            refused.headers.add("WWW-Authenticate", challenge)
        return refused
    if token is None and not local and request.path not in OPEN_PATHS:
        return failure(403, _NOT_BEYOND_LOOPBACK)
    if local and not names_this_machine(request.headers.get("Host", "")):
        return failure(403, "the header Host must be an IP address or localhost: other names may lead here by deceit")
    return None


def names_this_machine(host: str) -> bool:
    """Whether a Host header is an address or localhost, with or without a port. Empty is what no browser sends."""
    name, bracket, _ = host.partition("]")
    name = name.removeprefix("[") if bracket else host.partition(":")[0]
    if not host or name.lower().rstrip(".") == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
