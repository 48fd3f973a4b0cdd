"""`svcproxy top` as plain text, for pipes and logs.

Pure. Invariant: the same lines, columns and order as on the screen.
"""

from collections.abc import Iterable, Sequence

from proxy.client.columns import Column, render, shown, sort
from proxy.client.rate_meter import EndpointLine, ServiceLine
from proxy.client.top_columns import ENDPOINTS, SERVICES

Line = ServiceLine | EndpointLine


def services(lines: Iterable[ServiceLine], by: str, wanted: str = "") -> list[ServiceLine]:
    """Those whose name has `wanted` in it, sorted. Raises ValueError for a column that is not there."""
    return sort((line for line in lines if wanted in line.name), SERVICES, by)


def endpoints(lines: Iterable[ServiceLine], service: str, by: str, wanted: str = "") -> list[EndpointLine]:
    """The endpoints of a Service (`namespace/name`) whose address or pod has `wanted` in it, sorted."""
    every = (each for line in lines if line.name == service for each in line.endpoints)
    found = (each for each in every if wanted in each.endpoint.address or wanted in each.endpoint.pod)
    return sort(found, ENDPOINTS, by)


def table(lines: Sequence[Line], columns: Sequence[Column], headers: bool = True) -> str:
    """The lines as text."""
    return render(lines, shown(columns, wide=True), headers)
