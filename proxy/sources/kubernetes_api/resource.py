"""Resource: one thing to list and watch: where it is, which part of it, and how its objects are read.

Invariant: what is asked for is the least that the proxy needs: labels and fields select on the server's side, and of
Pods only the metadata is sent.
"""

from typing import Any, Generic, TypeVar

import msgspec

from proxy.model.changes import PodWeight
from proxy.model.endpoint_slice import HEADLESS_LABEL, EndpointSlice
from proxy.model.node import Node
from proxy.model.pod_weight import WEIGHT_LABEL
from proxy.model.service import Service
from proxy.sources.kubernetes_api.object_reader import ObjectReader
from proxy.sources.kubernetes_api.usable_objects import (
    PodMetadata,
    pod_weight_of,
    usable_endpoint_slice,
    usable_service,
)

T = TypeVar("T")
Query = tuple[tuple[str, str], ...]

_PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
_JSON = "application/json"
_METADATA = "application/json;as={};g=meta.k8s.io;v=v1,application/json"


class Scope(msgspec.Struct, frozen=True):
    """Which part of a cluster is followed. An empty `namespace` is all of them; `proxy_name` is the value of
    service.kubernetes.io/service-proxy-name that is served, empty for the Services without that label; `headless` is
    whether the endpoints of headless Services are wanted, which nobody forwards to but names are answered from."""

    node_name: str
    namespace: str = ""
    proxy_name: str = ""
    headless: bool = False


class Resource(msgspec.Struct, Generic[T], frozen=True):
    """`title` is how RBAC and kubectl name it (`endpointslices.discovery.k8s.io`)."""

    title: str
    path: str
    selectors: Query
    reader: ObjectReader[Any, T]
    namespace: str = ""
    list_accept: str = _JSON
    watch_accept: str = _JSON


def services(scope: Scope) -> Resource[Service]:
    """The Services that this proxy answers for."""
    label = f"{_PROXY_NAME_LABEL}={scope.proxy_name}" if scope.proxy_name else f"!{_PROXY_NAME_LABEL}"
    return Resource(
        title="services",
        path=_path("/api/v1", scope, "services"),
        selectors=(("labelSelector", label),),
        reader=ObjectReader("Service", Service, usable_service),
        namespace=scope.namespace,
    )


def endpoint_slices(scope: Scope) -> Resource[EndpointSlice]:
    """Every EndpointSlice, as a rule but those of headless Services."""
    return Resource(
        title="endpointslices.discovery.k8s.io",
        path=_path("/apis/discovery.k8s.io/v1", scope, "endpointslices"),
        selectors=() if scope.headless else (("labelSelector", f"!{HEADLESS_LABEL}"),),
        reader=ObjectReader("EndpointSlice", EndpointSlice, usable_endpoint_slice),
        namespace=scope.namespace,
    )


def pod_weights(scope: Scope) -> Resource[PodWeight]:
    """The Pods with a weight, by their metadata alone (PartialObjectMetadata)."""
    return Resource(
        title="pods",
        path=_path("/api/v1", scope, "pods"),
        selectors=(("labelSelector", WEIGHT_LABEL),),
        reader=ObjectReader("Pod", PodMetadata, pod_weight_of),
        namespace=scope.namespace,
        list_accept=_METADATA.format("PartialObjectMetadataList"),
        watch_accept=_METADATA.format("PartialObjectMetadata"),
    )


def own_node(scope: Scope) -> Resource[Node]:
    """The Node that this proxy runs on."""
    return Resource(
        title="nodes",
        path="/api/v1/nodes",
        selectors=(("fieldSelector", f"metadata.name={scope.node_name}"),),
        reader=ObjectReader("Node", Node, lambda node: node),
    )


def _path(group: str, scope: Scope, plural: str) -> str:
    return f"{group}/namespaces/{scope.namespace}/{plural}" if scope.namespace else f"{group}/{plural}"
