"""The Endpoints object of a Service with a selector: its EndpointSlices in the older form.

Invariant: a pure function of the slices; addresses are sorted, those with the same ports share a subset, and at most
1000 are shown (the endpoints controller, k8s.io/kubernetes/pkg/controller/endpoint).
"""

from collections import defaultdict
from collections.abc import Iterable

from proxy.model.endpoint_slice import Endpoint, EndpointSlice
from proxy.model.endpoints import EndpointAddress, Endpoints, EndpointSubset, EndpointSubsetPort
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service

MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"
OVER_CAPACITY_ANNOTATION = "endpoints.kubernetes.io/over-capacity"
MAXIMUM_ADDRESSES = 1000

_Ports = tuple[EndpointSubsetPort, ...]


def endpoints_object(service: Service, slices: Iterable[EndpointSlice]) -> Endpoints:
    """The Endpoints of `service`, whose slices these are; only those of its first IP family are shown."""
    families = service.spec.ip_families[:1]
    found = [
        (_ports(each), endpoint)
        for each in sorted(slices, key=lambda each: each.key)
        if each.address_type in families
        for endpoint in each.endpoints
        if endpoint.addresses and (endpoint.ready or not endpoint.terminating)
    ]
    found.sort(key=lambda entry: (not entry[1].ready, entry[1].addresses))
    shown = found[:MAXIMUM_ADDRESSES]
    metadata = ObjectMeta(
        name=service.metadata.name,
        namespace=service.metadata.namespace,
        labels={**service.metadata.labels, MANAGED_BY_LABEL: CONTROLLER},
        annotations={OVER_CAPACITY_ANNOTATION: "truncated"} if len(found) > len(shown) else {},
    )
    return Endpoints(metadata=metadata, subsets=_subsets(shown))


def _subsets(found: Iterable[tuple[_Ports, Endpoint]]) -> tuple[EndpointSubset, ...]:
    groups: dict[_Ports, list[Endpoint]] = defaultdict(list)
    for ports, endpoint in found:
        groups[ports].append(endpoint)
    return tuple(
        EndpointSubset(
            addresses=tuple(_address(endpoint) for endpoint in groups[ports] if endpoint.ready),
            not_ready_addresses=tuple(_address(endpoint) for endpoint in groups[ports] if not endpoint.ready),
            ports=ports,
        )
        for ports in sorted(groups, key=_order)
    )


def _order(ports: _Ports) -> list[tuple[str, str, int]]:
    return [(port.name, port.protocol, port.port) for port in ports]


def _address(endpoint: Endpoint) -> EndpointAddress:
    return EndpointAddress(
        ip=endpoint.addresses[0],
        hostname=endpoint.hostname or "",
        node_name=endpoint.node_name,
        target_ref=endpoint.target_ref,
    )


def _ports(endpoint_slice: EndpointSlice) -> _Ports:
    return tuple(
        EndpointSubsetPort(
            port=port.port, name=port.name or "", protocol=port.protocol or "TCP", app_protocol=port.app_protocol
        )
        for port in endpoint_slice.ports
        if port.port is not None
    )
