"""EndpointSlices of a Service without a selector, copied from its legacy Endpoints.

Invariant: a pure function of the Endpoints; one slice for each subset and family, of at most 1000 addresses of the
subset (the EndpointSliceMirroring controller, KEP-752).
"""

from collections.abc import Iterator

from proxy.cluster.ip_families import FAMILIES, family_of
from proxy.cluster.slice_names import slice_name
from proxy.model.endpoint_slice import (
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from proxy.model.endpoints import EndpointAddress, Endpoints, EndpointSubset
from proxy.model.metadata import ObjectMeta

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"
MAXIMUM_ADDRESSES = 1000


def mirrored_slices(endpoints: Endpoints) -> tuple[EndpointSlice, ...]:
    """The slices that say what `endpoints` says; none for a leader election's or one that asks not to be mirrored."""
    metadata = endpoints.metadata
    if metadata.labels.get(SKIP_MIRROR_LABEL) == "true" or LEADER_ANNOTATION in metadata.annotations:
        return ()
    return tuple(mirrored for index in range(len(endpoints.subsets)) for mirrored in _subset_slices(endpoints, index))


def _subset_slices(endpoints: Endpoints, index: int) -> Iterator[EndpointSlice]:
    subset, metadata = endpoints.subsets[index], endpoints.metadata
    entries = [(address, True) for address in subset.addresses]
    entries += [(address, False) for address in subset.not_ready_addresses]
    for family in FAMILIES:
        members = [entry for entry in entries[:MAXIMUM_ADDRESSES] if family_of(entry[0].ip) == family]
        if members:
            labels = {**metadata.labels, SERVICE_NAME_LABEL: metadata.name, MANAGED_BY_LABEL: CONTROLLER}
            name = slice_name(metadata.name, "mirrored", family, index)
            yield EndpointSlice(
                metadata=ObjectMeta(name=name, namespace=metadata.namespace, labels=labels),
                address_type=family,
                endpoints=tuple(_endpoint(address, ready) for address, ready in members),
                ports=_ports(subset),
            )


def _endpoint(address: EndpointAddress, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        target_ref=address.target_ref,
        node_name=address.node_name,
    )


def _ports(subset: EndpointSubset) -> tuple[EndpointPort, ...]:
    return tuple(
        EndpointPort(name=port.name, protocol=port.protocol, port=port.port, app_protocol=port.app_protocol)
        for port in subset.ports
    )
