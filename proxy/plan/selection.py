"""Selection: which endpoints serve one Service port in one family, seen from one node.

Follows kube-proxy (pkg/proxy/endpointslicecache.go, topology.go; KEP-1669 terminating endpoints, KEP-2433 and KEP-4444
hints, KEP-3015 same node). Invariant: the result depends on neither the order of the slices nor the order within them,
except that the last of two equally good entries for one `ip:port` wins, slices being read by name.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from proxy.model.endpoint_slice import HEADLESS_LABEL, Endpoint, EndpointSlice
from proxy.plan.addresses import canonical_address


class PortIdentity(NamedTuple):
    """What joins a Service port to the ports of its slices; `family` is IPv4 or IPv6."""

    name: str
    protocol: str
    family: str


class Locality(NamedTuple):
    """Where this proxy runs; an empty string matches no endpoint and no hint."""

    node_name: str
    zone: str


class PortEndpoint(msgspec.Struct, frozen=True, gc=False):
    """One endpoint with the number that the Service port has there."""

    address: str
    port: int
    endpoint: Endpoint


Member = tuple[str, int, Endpoint]
"""As a PortEndpoint, with 0 where the port has the same number everywhere. There are millions of them for a moment."""


class Selection(msgspec.Struct, frozen=True):
    """The two sets that a traffic policy chooses between, each sorted by the string `ip:port`.

    `draining` are the endpoints that terminate but still serve, chosen or not: flows to them go on. `has_any`: some
    endpoint, here or on another node, could serve. A reason says, in words for people, why its set is empty or holds
    less than every ready endpoint, and is empty otherwise.
    """

    cluster: tuple[PortEndpoint, ...]
    local: tuple[PortEndpoint, ...]
    draining: tuple[PortEndpoint, ...]
    has_any: bool
    cluster_reason: str
    local_reason: str


class Candidates:
    """One Service's slices in one family, by their names, each with its endpoints and their canonical addresses."""

    __slots__ = ("_of_any_port", "slices")

    def __init__(self, slices: tuple[tuple[EndpointSlice, Sequence[Member]], ...]) -> None:
        self.slices = slices
        self._of_any_port: tuple[Locality, _Chosen] | None = None

    def of_any_port(self, locality: Locality) -> "_Chosen":
        """What is chosen for every port that has one number in all slices; worked out once for all of them."""
        if self._of_any_port is None or self._of_any_port[0] != locality:
            self._of_any_port = locality, _choose(_merged(self.slices, [(0,)] * len(self.slices)), locality)
        return self._of_any_port[1]


def candidates_of(slices: Iterable[EndpointSlice], family: str) -> Candidates:
    """What all ports of a Service choose from in one family."""
    return Candidates(
        tuple(
            (each, _members(each, family))
            for each in sorted(slices, key=lambda each: each.key)
            if each.address_type == family and HEADLESS_LABEL not in each.metadata.labels
        )
    )


def select_endpoints(candidates: Candidates, port: PortIdentity, locality: Locality) -> Selection:
    """Choose among the candidates of one Service in the port's family."""
    numbers = [port_numbers(endpoint_slice, port.name, port.protocol) for endpoint_slice, _ in candidates.slices]
    if numbers and len(numbers[0]) == 1 and all(each == numbers[0] for each in numbers):
        return _selection(candidates.of_any_port(locality), numbers[0][0])
    return _selection(_choose(_merged(candidates.slices, numbers), locality))


def port_numbers(endpoint_slice: EndpointSlice, name: str, protocol: str) -> list[int]:
    """The numbers that the Service port of this name and protocol has in the slice."""
    return [each.port for each in endpoint_slice.ports if each.port and each.name == name and each.protocol == protocol]


class _Chosen(NamedTuple):
    """The sets of a Selection, of members."""

    cluster: Sequence[Member]
    local: Sequence[Member]
    draining: Sequence[Member]
    has_any: bool
    cluster_reason: str
    local_reason: str


def _selection(chosen: _Chosen, number: int = 0) -> Selection:
    """With this number for members that have none of their own."""
    return Selection(
        cluster=_numbered(chosen.cluster, number),
        local=_numbered(chosen.local, number),
        draining=_numbered(chosen.draining, number),
        has_any=chosen.has_any,
        cluster_reason=chosen.cluster_reason,
        local_reason=chosen.local_reason,
    )


def _numbered(members: Sequence[Member], number: int) -> tuple[PortEndpoint, ...]:
    if not members:
        return ()
    return tuple([PortEndpoint(address, own or number, endpoint) for address, own, endpoint in members])


def _choose(members: Sequence[Member], locality: Locality) -> _Chosen:
    ready = [each for each in members if each[2].ready]
    draining = [each for each in members if each[2].terminating and each[2].serving]
    cluster, cluster_reason = _cluster_set(ready, draining, locality)
    local, local_reason = _local_set(ready, draining, locality.node_name)
    return _Chosen(cluster, local, draining, bool(ready or draining), cluster_reason, local_reason)


def _members(endpoint_slice: EndpointSlice, family: str) -> list[Member]:
    is_ipv6 = family == "IPv6"
    found: list[Member] = []
    for endpoint in endpoint_slice.endpoints:
        address = canonical_address(endpoint.addresses[0]) if endpoint.addresses else None
        if address is not None and (":" in address) is is_ipv6:
            found.append((address, 0, endpoint))
    return found


def _merged(slices: Iterable[tuple[EndpointSlice, Iterable[Member]]], numbers: Iterable[Iterable[int]]) -> list[Member]:
    """With the numbers that the port has in each slice. An endpoint counts, unless it is a terminating one whose
    address a new Pod may already have."""
    found: dict[str, Member] = {}
    for (_, members), of_slice in zip(slices, numbers, strict=True):
        for number in of_slice:
            for address, _, endpoint in members:
                text = f"[{address}]:{number}" if ":" in address else f"{address}:{number}"
                if text not in found or not endpoint.terminating:
                    found[text] = (address, number, endpoint)
    return [found[text] for text in sorted(found)]


def _cluster_set(
    ready: Sequence[Member], draining: Sequence[Member], locality: Locality
) -> tuple[Sequence[Member], str]:
    if not ready:
        return draining, "no endpoint is ready; terminating ones serve" if draining else "no endpoint is ready"
    same_node = _hinted(ready, _node_hints, locality.node_name)
    if same_node:
        return same_node, f"hints keep traffic on node {locality.node_name}"
    same_zone = _hinted(ready, _zone_hints, locality.zone)
    if same_zone:
        return same_zone, f"hints keep traffic in zone {locality.zone}"
    return ready, ""


def _local_set(ready: Sequence[Member], draining: Sequence[Member], node_name: str) -> tuple[Sequence[Member], str]:
    if not node_name:
        return (), "the name of this node is not known, so no endpoint counts as local"
    local_ready = [each for each in ready if each[2].node_name == node_name]
    if local_ready:
        return local_ready, ""
    local_draining = [each for each in draining if each[2].node_name == node_name]
    where = f"no endpoint on node {node_name} is ready"
    return local_draining, f"{where}; terminating ones serve" if local_draining else where


def _hinted(ready: Sequence[Member], hints: Callable[[Endpoint], Sequence[str]], own: str) -> list[Member]:
    """The endpoints hinted for `own`; none of them where one ready endpoint lacks the hint."""
    if not own or not all(hints(each[2]) for each in ready):
        return []
    return [each for each in ready if own in hints(each[2])]


def _node_hints(endpoint: Endpoint) -> Sequence[str]:
    return [hint.name for hint in endpoint.hints.for_nodes] if endpoint.hints else ()


def _zone_hints(endpoint: Endpoint) -> Sequence[str]:
    return [hint.name for hint in endpoint.hints.for_zones] if endpoint.hints else ()
