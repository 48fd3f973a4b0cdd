"""EndpointSlices of a Service with a selector, made from its Pods: the EndpointSlice controller's job.

Invariant: a pure function of its arguments. A slice has at most 100 endpoints, all of one family and with one list of
ports. A changed Pod changes its own slice, or at a full one splits it in two, so the layout needs no memory of the last
one.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from proxy.cluster.pod_endpoint import pod_endpoint, pod_ports, target_ports
from proxy.cluster.slice_names import slice_name
from proxy.cluster.topology_hints import CpuRatios, wants_hints, with_zone_hints
from proxy.model.endpoint_slice import (
    CONTROLLER,
    HEADLESS_LABEL,
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    TARGET_PORTS,
    Endpoint,
    EndpointPort,
    EndpointSlice,
)
from proxy.model.metadata import ObjectMeta
from proxy.model.pod import Pod
from proxy.model.service import Service
from proxy.model.service_address_validation import is_headless

MAXIMUM_ENDPOINTS = 100
_HASH_BITS = 64
_NO_RATIOS: CpuRatios = {}

_Member = tuple[int, Endpoint]
"""A hash of the Pod's name, and the Pod as an endpoint."""

_Group = tuple[tuple[EndpointPort, ...], tuple[str, ...]]
"""The ports that some Pods have in common, and the names of all their ports where a targetPort is none of them."""


def pod_slices(
    service: Service, pods: Iterable[Pod], zones: Mapping[str, str], node_name: str, ratios: CpuRatios = _NO_RATIOS
) -> tuple[EndpointSlice, ...]:
    """The slices of `service` from `pods`, which its selector matches.

    `zones` maps nodes to their zones; `node_name` is the node of a Pod that names none. `ratios` are the zones' parts
    of the processors, for a Service that asks for hints by them. A family without any endpoint has one slice without
    endpoints and ports, as in a real cluster.
    """
    ordered = [(_hash_of(pod), pod) for pod in sorted(pods, key=lambda pod: pod.key)]
    return tuple(
        endpoint_slice
        for family in service.spec.ip_families
        for endpoint_slice in _family_slices(
            service, family, _endpoints(service, family, ordered, zones, node_name, ratios)
        )
    )


def _endpoints(
    service: Service,
    family: str,
    pods: list[tuple[int, Pod]],
    zones: Mapping[str, str],
    node_name: str,
    ratios: CpuRatios,
) -> Iterable[tuple[int, Pod, Endpoint]]:
    """The Pods that have an address of the family, as endpoints with their hints."""
    made = [(number, pod, pod_endpoint(service, pod, family, zones, node_name)) for number, pod in pods]
    found = [(number, pod, endpoint) for number, pod, endpoint in made if endpoint is not None]
    if not wants_hints(service):
        return found
    hinted = with_zone_hints([endpoint for _, _, endpoint in found], ratios)
    return [(number, pod, endpoint) for (number, pod, _), endpoint in zip(found, hinted, strict=True)]


def _family_slices(
    service: Service, family: str, endpoints: Iterable[tuple[int, Pod, Endpoint]]
) -> Iterator[EndpointSlice]:
    members: dict[_Group, list[_Member]] = defaultdict(list)
    for number, pod, endpoint in endpoints:
        members[_group(service, pod)].append((number, endpoint))
    if not members:
        members[(), ()] = []
    for (ports, names), group in members.items():
        for path, part in _parts(group, ""):
            yield _slice(service, family, ports, names, path, part)


def _group(service: Service, pod: Pod) -> _Group:
    ports = pod_ports(service, pod)
    return ports, target_ports(pod) if len(ports) < len(service.spec.ports) else ()


def _parts(group: list[_Member], path: str) -> Iterator[tuple[str, list[_Member]]]:
    """Split by one more bit of the hash until every part fits; `path` is the bits that a part has in common."""
    if len(group) <= MAXIMUM_ENDPOINTS or len(path) == _HASH_BITS:
        yield path, group
        return
    bit = 1 << len(path)
    for digit in "01":
        half = [member for member in group if bool(member[0] & bit) == (digit == "1")]
        if half:
            yield from _parts(half, path + digit)


def _slice(
    service: Service,
    family: str,
    ports: tuple[EndpointPort, ...],
    names: tuple[str, ...],
    path: str,
    members: list[_Member],
) -> EndpointSlice:
    numbers: list[tuple[object, ...]] = [(port.name, port.protocol, port.port, port.app_protocol) for port in ports]
    numbers += [names] if names else []
    labels = {SERVICE_NAME_LABEL: service.metadata.name, MANAGED_BY_LABEL: CONTROLLER}
    if is_headless(service.spec):
        labels[HEADLESS_LABEL] = ""
    return EndpointSlice(
        metadata=ObjectMeta(
            name=slice_name(service.metadata.name, family, numbers, path),
            namespace=service.metadata.namespace,
            labels=labels,
            annotations={TARGET_PORTS: ",".join(names)} if names else {},
        ),
        address_type=family,
        endpoints=tuple(endpoint for _, endpoint in members),
        ports=ports,
    )


def _hash_of(pod: Pod) -> int:
    return int.from_bytes(hashlib.blake2b(pod.metadata.name.encode(), digest_size=_HASH_BITS // 8).digest())
