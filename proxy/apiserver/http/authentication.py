"""Authentication: one bearer token, and nothing without it.

Imports this room's errors; aiohttp calls it. Invariant: every path needs the token, and the comparison takes the same
time whatever was sent.
"""

import hmac

from aiohttp import web

from proxy.apiserver import status


def require_token(request: web.Request, token: str) -> None:
    """Raise StatusError (401) unless the request carries `token`."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise status.unauthorized()
