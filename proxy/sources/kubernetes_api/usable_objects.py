"""Usable objects: what an API server sent, with defaults, unless the plan could make no sense of it.

Invariant: nothing is refused that some API server may have accepted: full validation is the server's, its rules differ
between versions, and here only what is relied on is looked at.
"""

import ipaddress
import itertools
import sys
from collections.abc import Iterable
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from proxy.model.changes import PodWeight
from proxy.model.defaults import default_endpoint_slice, default_service
from proxy.model.endpoint_slice import (
    LAST_CHANGE_TRIGGER_TIME,
    TARGET_PORTS,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    TargetReference,
)
from proxy.model.metadata import ObjectMeta
from proxy.model.pod_weight import MAXIMUM_WEIGHT, WEIGHT_LABEL, pod_weight
from proxy.model.service import Service, ServicePort
from proxy.sources.kubernetes_api.object_reader import UnusableError

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_PORTS = range(1, 65536)


class PodMetadata(msgspec.Struct, frozen=True):
    """meta.k8s.io/v1 PartialObjectMetadata of a Pod."""

    metadata: ObjectMeta


def usable_service(service: Service) -> Service:
    """`service` with defaults. Raises UnusableError."""
    for index, port in enumerate(service.spec.ports):
        _check_port(f"spec.ports[{index}]", port)
    for index, text in enumerate(service.spec.load_balancer_source_ranges):
        try:
            ipaddress.ip_network(text.strip(), strict=False)
        except ValueError as error:
            raise UnusableError(f"spec.loadBalancerSourceRanges[{index}]: {error}") from error
    return default_service(service)


def usable_endpoint_slice(endpoint_slice: EndpointSlice) -> EndpointSlice:
    """`endpoint_slice` with defaults, in little room; of its annotations with those that count. Raises
    UnusableError."""
    _check_slice_ports(endpoint_slice.ports)
    given = endpoint_slice.metadata.annotations
    annotations = {name: given[name] for name in (LAST_CHANGE_TRIGGER_TIME, TARGET_PORTS) if given.get(name)}
    return default_endpoint_slice(
        EndpointSlice(
            metadata=replace(endpoint_slice.metadata, annotations=annotations),
            address_type=endpoint_slice.address_type,
            endpoints=tuple(map(compact_endpoint, endpoint_slice.endpoints)),
            ports=endpoint_slice.ports,
        )
    )


def pod_weight_of(pod: PodMetadata) -> PodWeight:
    """The weight on a Pod's label. Raises UnusableError for a label that is no weight."""
    metadata = pod.metadata
    weight = pod_weight(metadata.labels)
    if weight is None:
        text = metadata.labels.get(WEIGHT_LABEL, "")
        raise UnusableError(f'label {WEIGHT_LABEL}: "{text}" is not a whole number from 0 to {MAXIMUM_WEIGHT}')
    return PodWeight(metadata.namespace, metadata.name, weight)


def _check_port(field: str, port: ServicePort) -> None:
    if port.port not in _PORTS:
        raise UnusableError(f"{field}.port: {port.port} is not a port")
    if port.node_port and port.node_port not in _PORTS:
        raise UnusableError(f"{field}.nodePort: {port.node_port} is not a port")
    if port.protocol and port.protocol not in _PROTOCOLS:
        raise UnusableError(f"{field}.protocol: {port.protocol} is not a known protocol")


def _check_slice_ports(ports: Iterable[EndpointPort]) -> None:
    for index, port in enumerate(ports):
        if port.port and port.port not in _PORTS:
            raise UnusableError(f"ports[{index}].port: {port.port} is not a port")


_ANSWERS = (None, True, False)
_CONDITIONS = MappingProxyType(
    {answers: EndpointConditions(*answers) for answers in itertools.product(_ANSWERS, repeat=3)}
)


def compact_endpoint(endpoint: Endpoint) -> Endpoint:
    """An equal endpoint in less room, but for the uid of its Pod, which nobody asks a cluster's endpoints for.

    Of 100,000 endpoints it saves a third of the memory: node names, zones, namespaces and conditions are few, and a
    decoder makes each of them anew every time. It is written out because it is done for every endpoint there is.
    """
    conditions, reference = endpoint.conditions, endpoint.target_ref
    node_name, zone = endpoint.node_name, endpoint.zone
    return Endpoint(
        endpoint.addresses,
        _CONDITIONS[conditions.ready, conditions.serving, conditions.terminating],
        endpoint.hostname,
        None
        if reference is None
        else TargetReference(sys.intern(reference.kind), reference.name, sys.intern(reference.namespace)),
        None if node_name is None else sys.intern(node_name),
        None if zone is None else sys.intern(zone),
        endpoint.hints,
    )
