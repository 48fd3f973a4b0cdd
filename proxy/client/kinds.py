"""What `svcproxy get` shows: each kind with its names, the way to it and its columns.

Invariant: what a kind gives is what the API answered, unchanged, so that `-o json` is the API's own form.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from proxy.admin.api_answers import EndpointsAnswer, NamesAnswer, ServicesAnswer, WorkersAnswer
from proxy.client.admin_api import AdminAPI
from proxy.client.columns import Column
from proxy.client.flow_columns import AFFINITY_COLUMNS, CONNECTION_COLUMNS
from proxy.client.name_columns import NAME_COLUMNS
from proxy.client.service_columns import ENDPOINT_COLUMNS, SERVICE_COLUMNS, endpoint_text
from proxy.client.worker_columns import WORKER_COLUMNS
from proxy.reports.flow_report import AffinityAnswer, ConnectionsAnswer

_NOWHERE = "No names are answered: this proxy serves DNS at no address; svcproxy run --dns ADDR:PORT gives it one."


class Scope(NamedTuple):
    """What is asked for: a namespace and a Service's name, each empty for all."""

    namespace: str
    name: str = ""


class Listing(NamedTuple):
    """What was found; `complete` is whether the proxy left nothing out, `remark` a sentence besides."""

    things: Sequence[Any]
    complete: bool = True
    remark: str = ""


class Kind(NamedTuple):
    """`names` are what users write, the first the usual one; `name_of` makes what `-o name` prints, `identity`
    what tells one thing from another, `owner` the namespace and name of the Service that a thing belongs to."""

    names: tuple[str, ...]
    fetch: Callable[[AdminAPI, Scope], Listing]
    columns: tuple[Column, ...]
    name_of: Callable[[Any], str]
    identity: Callable[[Any], Hashable]
    owner: Callable[[Any], tuple[str, str]]
    namespaced: bool = True


def _services(api: AdminAPI, scope: Scope) -> Listing:
    return Listing(api.get("services", ServicesAnswer, namespace=scope.namespace, service=scope.name).services)


def _endpoints(api: AdminAPI, scope: Scope) -> Listing:
    return Listing(api.get("endpoints", EndpointsAnswer, namespace=scope.namespace, service=scope.name).endpoints)


def _connections(api: AdminAPI, scope: Scope) -> Listing:
    answer = api.get("connections", ConnectionsAnswer, namespace=scope.namespace, service=scope.name)
    return Listing(answer.connections, answer.complete)


def _affinity(api: AdminAPI, scope: Scope) -> Listing:
    answer = api.get("affinity", AffinityAnswer, namespace=scope.namespace, service=scope.name)
    return Listing(answer.affinity, answer.complete)


def _names(api: AdminAPI, scope: Scope) -> Listing:
    answer = api.get("names", NamesAnswer, namespace=scope.namespace, service=scope.name)
    return Listing(answer.names, remark=_NOWHERE if answer.addresses == () else "")


def _workers(api: AdminAPI, scope: Scope) -> Listing:
    return Listing(api.get("workers", WorkersAnswer).workers)


def _owner(flow: Any) -> tuple[str, str]:
    """Of what names its Service as `namespace/name`."""
    namespace, _, name = flow.service.partition("/")
    return namespace, name


KINDS = (
    Kind(
        ("services", "service", "svc"),
        _services,
        SERVICE_COLUMNS,
        lambda each: f"service/{each.service.metadata.name}",
        lambda each: each.service.key,
        lambda each: each.service.key,
    ),
    Kind(
        ("endpoints", "endpoint", "ep"),
        _endpoints,
        ENDPOINT_COLUMNS,
        lambda each: f"endpoint/{endpoint_text(each.endpoint.address, each.endpoint.port)}",
        lambda each: (each.pool, each.endpoint.address, each.endpoint.port),
        lambda each: (each.namespace, each.service),
    ),
    Kind(
        ("connections", "connection", "conn"),
        _connections,
        CONNECTION_COLUMNS,
        lambda each: f"connection/{each.client}",
        lambda each: (each.frontend, each.client),
        _owner,
    ),
    Kind(
        ("affinity", "aff"),
        _affinity,
        AFFINITY_COLUMNS,
        lambda each: f"affinity/{each.client}",
        lambda each: (each.service, each.port, each.client, each.worker),
        _owner,
    ),
    Kind(
        ("names", "name"),
        _names,
        NAME_COLUMNS,
        lambda each: f"name/{each.name}",
        lambda each: (each.service, each.name, each.record_type, each.value),
        lambda each: (each.namespace, each.service),
    ),
    Kind(
        ("workers", "worker"),
        _workers,
        WORKER_COLUMNS,
        lambda each: f"worker/{each.index}",
        lambda each: each.index,
        lambda each: ("", ""),
        namespaced=False,
    ),
)

BY_NAME: Mapping[str, Kind] = MappingProxyType({name: kind for kind in KINDS for name in kind.names})
NAMES: Mapping[str, str] = MappingProxyType({name: kind.names[0] for kind in KINDS for name in kind.names})
"""Every name to the usual one."""
