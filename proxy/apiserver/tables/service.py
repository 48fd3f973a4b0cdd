"""Rows of Services, Endpoints and EndpointSlices.

Invariant: every text is that of printService, printEndpoints and printEndpointSlice (kubernetes
pkg/printers/internalversion).
"""

import msgspec

from proxy.apiserver.document import Document
from proxy.apiserver.tables.columns import Row
from proxy.model.endpoint_slice import EndpointPort, EndpointSlice
from proxy.model.endpoints import Endpoints, EndpointSubset
from proxy.model.service import Service
from proxy.reports import service_table
from proxy.reports.human_duration import age

_MOST_SHOWN = 3


def service_row(document: Document, now: float) -> Row:
    (row,) = service_table.rows((msgspec.convert(document, Service),), now, wide=True)
    return [*row[1:]]


def endpoints_row(document: Document, now: float) -> Row:
    endpoints = msgspec.convert(document, Endpoints)
    shown = [each for subset in endpoints.subsets for each in _ready(subset)]
    metadata = endpoints.metadata
    return [metadata.name, _first_of(shown) or "<none>", age(metadata.creation_timestamp, now)]


def endpoint_slice_row(document: Document, now: float) -> Row:
    endpoint_slice = msgspec.convert(document, EndpointSlice)
    metadata = endpoint_slice.metadata
    addresses = [address for endpoint in endpoint_slice.endpoints for address in endpoint.addresses]
    return [
        metadata.name,
        endpoint_slice.address_type,
        _first_of([_port(port) for port in endpoint_slice.ports]) or "<unset>",
        _first_of(addresses) or "<unset>",
        age(metadata.creation_timestamp, now),
    ]


def _ready(subset: EndpointSubset) -> list[str]:
    if not subset.ports:
        return [address.ip for address in subset.addresses]
    return [_host_port(address.ip, port.port) for port in subset.ports for address in subset.addresses]


def _host_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _port(port: EndpointPort) -> str:
    if port.port is not None:
        return str(port.port)
    return "*" if port.name is None else port.name


def _first_of(texts: list[str]) -> str:
    shown = ",".join(texts[:_MOST_SHOWN])
    return f"{shown} + {len(texts) - _MOST_SHOWN} more..." if len(texts) > _MOST_SHOWN else shown
