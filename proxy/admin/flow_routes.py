"""Routes under /api/v1/ that ask the workers: connections, affinity, explain.

Invariant: GET alone; a query that makes no sense is answered with 400 and one line.
"""

import ipaddress
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.admin.inspected_flows import InspectedFlows
from proxy.admin.json_answer import failure, json_answer
from proxy.admin.json_list import json_list
from proxy.reports.explanation_report import ExplanationsAnswer

MOST_ROWS = 10_000
_HIGHEST_PORT = 65535


class _QueryError(Exception):
    """A query that makes no sense, said in one line."""


def flow_routes(inspected: InspectedFlows) -> Iterable[web.RouteDef]:
    """The routes; `?namespace=`, `?service=` and `?limit=` narrow the lists."""

    async def connections(request: web.Request) -> web.StreamResponse:
        answer = await inspected.connections(*_scope(request), _limit(request))
        return await json_list(request, "connections", answer.connections, [("complete", answer.complete)])

    async def affinity(request: web.Request) -> web.StreamResponse:
        answer = await inspected.affinity(*_scope(request), _limit(request))
        return await json_list(request, "affinity", answer.affinity, [("complete", answer.complete)])

    async def explain(request: web.Request) -> web.Response:
        client, client_port = _client(request)
        namespace, name = _scope(request)
        if not name:
            protocol, address, port = _destination(request)
            if client and (":" in client) != (":" in address):
                raise _QueryError(f"from and address must be of one family, not {client} and {address}")
            explanation = await inspected.explain(protocol, address, port, client, client_port)
            return json_answer(ExplanationsAnswer((explanation,)))
        explanations = await inspected.explain_service((namespace or "default", name), client)
        if explanations is None:
            return failure(404, f"Service {namespace or 'default'}/{name} is not known to this proxy")
        return json_answer(ExplanationsAnswer(explanations))

    return (
        web.get("/api/v1/connections", _checked(connections)),
        web.get("/api/v1/affinity", _checked(affinity)),
        web.get("/api/v1/explain", _checked(explain)),
    )


def _checked(handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except _QueryError as error:
            return failure(400, str(error))

    return checked


def _scope(request: web.Request) -> tuple[str, str]:
    namespace, name = request.query.get("namespace", ""), request.query.get("service", "")
    if name and not namespace and not request.path.endswith("/explain"):
        raise _QueryError("service needs namespace beside it")
    return namespace, name


def _limit(request: web.Request) -> int:
    return _number(request, "limit", MOST_ROWS, str(MOST_ROWS))


def _number(request: web.Request, name: str, most: int, default: str) -> int:
    text = request.query.get(name, default)
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(most)) or not 0 < int(text) <= most:
        raise _QueryError(f'{name} must be a number from 1 to {most}, not "{text}"')
    return int(text)


def _destination(request: web.Request) -> tuple[str, str, int]:
    protocol = request.query.get("protocol", "TCP").upper()
    if protocol not in ("TCP", "UDP"):
        raise _QueryError(f'protocol must be TCP or UDP, not "{protocol}"')
    return protocol, _address(request, "address"), _number(request, "port", _HIGHEST_PORT, "")


def _client(request: web.Request) -> tuple[str, int]:
    if not request.query.get("from"):
        return "", 0
    port = _number(request, "fromPort", _HIGHEST_PORT, "") if "fromPort" in request.query else 0
    return _address(request, "from"), port


def _address(request: web.Request, name: str) -> str:
    """An IP address in its usual form."""
    text = request.query.get(name, "")
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise _QueryError(f'{name} must be an IP address, not "{text}"') from error
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
