"""Health of the API: /healthz, /livez and /readyz, with their checks one by one.

The forms are those of k8s.io/apiserver/pkg/server/healthz. Invariant: an API that answers is healthy; a check that
does not exist is not found.
"""

from aiohttp import web

ENDPOINTS = ("healthz", "livez", "readyz")
CHECKS = ("ping", "log", "storage")


def health(endpoint: str, check: str, query: dict[str, str]) -> web.Response | None:
    """The answer of one of ENDPOINTS, or of one of its checks; None where there is no such check."""
    excluded = query.get("exclude", "")
    if check:
        return web.Response(text="ok") if check in CHECKS else None
    if "verbose" not in query:
        return web.Response(text="ok")
    lines = [f"[+]{each} {'excluded: ok' if each == excluded else 'ok'}\n" for each in CHECKS]
    return web.Response(text=f"{''.join(lines)}{endpoint} check passed\n")
