"""Authentication: one bearer token, and nothing without it.

Invariant: every path needs the token but those that the API server tells everybody (the ClusterRole
system:public-info-viewer), and the comparison takes the same time whatever was sent.
"""

import hmac

from aiohttp import web

from proxy.apiserver import status

_PUBLIC = ("healthz", "livez", "readyz", "version")


def require_token(request: web.Request, token: str) -> None:
    """Raise StatusError (401) unless the request carries `token`, or asks for what is public."""
    if request.path.strip("/") in _PUBLIC and request.method in ("GET", "HEAD"):
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # Bytes that are no UTF-8 come from aiohttp as surrogates.
    offered = given.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() != "bearer" or not hmac.compare_digest(offered, token.encode()):
        raise status.unauthorized()
