"""What an external load balancer is told at a Service's healthCheckNodePort: how many endpoints are on this node.

Invariant: only a Service of type LoadBalancer with externalTrafficPolicy Local has such a port, and only endpoints that
are ready count, so that a node whose last one terminates is left while it still serves (kube-proxy,
pkg/proxy/healthcheck/service_health.go, KEP-1669).
"""

from collections.abc import Iterable, Iterator

import msgspec

from proxy.model.changes import ObjectKey
from proxy.model.endpoint_slice import HEADLESS_LABEL, EndpointSlice
from proxy.model.service import Service
from proxy.plan.addresses import canonical_address, family_of


class HealthCheck(msgspec.Struct, frozen=True):
    """The port of one Service in one family; `local_endpoints` counts distinct addresses."""

    service: ObjectKey
    family: str
    port: int
    local_endpoints: int


def health_checks(
    service: Service, families: Iterable[str], slices: Iterable[EndpointSlice], node_name: str
) -> tuple[HealthCheck, ...]:
    """One for each family, or none at all."""
    spec = service.spec
    if spec.type != "LoadBalancer" or spec.external_traffic_policy != "Local" or not spec.health_check_node_port:
        return ()
    local = set(_local_addresses(slices, node_name))
    return tuple(
        HealthCheck(service.key, family, spec.health_check_node_port, sum(family_of(one) == family for one in local))
        for family in families
    )


def _local_addresses(slices: Iterable[EndpointSlice], node_name: str) -> Iterator[str]:
    for endpoint_slice in slices:
        if HEADLESS_LABEL in endpoint_slice.metadata.labels or not any(port.port for port in endpoint_slice.ports):
            continue
        for endpoint in endpoint_slice.endpoints:
            if endpoint.ready and endpoint.addresses and node_name and endpoint.node_name == node_name:
                address = canonical_address(endpoint.addresses[0])
                if address is not None:
                    yield address
