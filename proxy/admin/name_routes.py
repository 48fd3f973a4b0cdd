"""/api/v1/names: what DNS answers for Services.

Invariant: GET alone, and what is said of one Service is of one moment.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from aiohttp import web

from proxy.admin.json_list import json_list
from proxy.dns.name_report import NameReport
from proxy.dns.settings import SocketAddress
from proxy.dns.statistics import DNSStatistics


class InspectedNames(Protocol):
    """The name service, as far as HTTP may see it."""

    @property
    def addresses(self) -> Sequence[SocketAddress]:
        """Where names are answered."""

    def names(self) -> Iterator[NameReport]:
        """Every record of every Service; nothing where no names are answered."""

    def statistics(self) -> DNSStatistics:
        """The counts of this moment."""


def name_routes(names: InspectedNames) -> Iterable[web.RouteDef]:
    """/api/v1/names. `?namespace=` and `?service=` narrow it."""

    async def listed(request: web.Request) -> web.StreamResponse:
        namespace, service = request.query.get("namespace"), request.query.get("service")
        found = (
            each for each in names.names() if namespace in (None, each.namespace) and service in (None, each.service)
        )
        return await json_list(request, "names", found, [("addresses", names.addresses)])

    return (web.get("/api/v1/names", listed),)
