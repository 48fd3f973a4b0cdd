"""The names of one Service, as the Kubernetes DNS specification 1.1 (2.3 to 2.5) has them.

Imports `model`, canonical addresses and this room. Invariant: a pure function of the Service and its slices, whose
order does not matter. A name that is too long for DNS is left out; every other one is there.

Beyond the specification, as CoreDNS does: the Service's own name has the SRV records of all ports, which peer finders
ask for. The port of a headless Service's SRV record is the endpoint's, not the Service's: the endpoint is what is
connected to.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from proxy.dns.record_set import EMPTY, RecordSet, Target
from proxy.dns.wire_name import NameTooLongError, WireName, below, child, reverse_name, wire_name
from proxy.model.endpoint_slice import Endpoint, EndpointSlice
from proxy.model.service import Service
from proxy.plan.addresses import canonical_address

HEADLESS = "None"
_FULL_WEIGHT = 100


class _Host(NamedTuple):
    """A host of a headless Service under its own name, with the ports that its slice gives it."""

    name: WireName
    address: str
    ports: tuple[tuple[str, str, int], ...]


def service_names(
    service: Service, slices: Iterable[EndpointSlice], services_zone: WireName
) -> Mapping[WireName, RecordSet]:
    """Every name of the Service, PTR names included; `services_zone` is `svc` of the cluster's zone."""
    try:
        own = below(services_zone, service.metadata.name, service.metadata.namespace)
    except ValueError:
        return {}
    if service.spec.type == "ExternalName":
        return _alias(own, service.spec.external_name)
    if service.spec.cluster_ip == HEADLESS:
        return _headless(own, service, slices)
    return _addressed(own, service)


def _alias(own: WireName, external_name: str) -> dict[WireName, RecordSet]:
    try:
        return {own: RecordSet(alias=wire_name(external_name))}
    except ValueError:
        return {own: EMPTY}


def _addressed(own: WireName, service: Service) -> dict[WireName, RecordSet]:
    """A Service with addresses of its own."""
    spec = service.spec
    addresses = _canonical(spec.cluster_ips or (spec.cluster_ip,))
    names: dict[WireName, RecordSet] = {}
    for port in spec.ports:
        _put(names, own, port.name, port.protocol or "TCP", (Target(port.port, _FULL_WEIGHT, own, addresses),))
    everything = tuple(Target(port.port, _FULL_WEIGHT, own, addresses) for port in spec.ports)
    names[own] = RecordSet(addresses=addresses, targets=everything)
    for address in addresses:
        names[reverse_name(address)] = RecordSet(pointers=(own,))
    return names


def _headless(own: WireName, service: Service, slices: Iterable[EndpointSlice]) -> dict[WireName, RecordSet]:
    """A Service that is its endpoints; without a usable one there is no such name (2.4.1)."""
    by_address: dict[str, _Host] = {}
    names: dict[WireName, RecordSet] = {}
    addresses_of: dict[WireName, dict[str, None]] = {}
    for endpoint_slice in sorted(slices, key=lambda each: each.key):
        ports = tuple(
            (port.name or "", port.protocol or "TCP", port.port) for port in endpoint_slice.ports if port.port
        )
        for endpoint, address in _usable(endpoint_slice, service.spec.publish_not_ready_addresses):
            spelled = child(own, dashed(address))
            host = _host_name(own, endpoint, spelled)
            addresses_of.setdefault(spelled, {})[address] = None
            if host != spelled:
                addresses_of.setdefault(host, {})[address] = None
            known = by_address.get(address)
            merged = ports if known is None else tuple(dict.fromkeys((*known.ports, *ports)))
            by_address[address] = _Host(host, address, merged)
    if not by_address:
        return names
    for name, found in addresses_of.items():
        names[name] = RecordSet(addresses=tuple(found))
    for address, known in by_address.items():
        names[reverse_name(address)] = RecordSet(pointers=(known.name,))
    _put_targets(names, own, by_address.values(), addresses_of)
    return names


def _put_targets(
    names: dict[WireName, RecordSet],
    own: WireName,
    hosts: Iterable[_Host],
    addresses_of: Mapping[WireName, Iterable[str]],
) -> None:
    """The SRV records of a headless Service: one for each host and port, a host of two families once."""
    by_port: dict[tuple[str, str], dict[tuple[WireName, int], None]] = {}
    everything: dict[tuple[WireName, int], None] = {}
    addresses: dict[str, None] = {}
    for host in hosts:
        addresses[host.address] = None
        for port_name, protocol, number in host.ports:
            by_port.setdefault((port_name, protocol), {})[host.name, number] = None
            everything[host.name, number] = None
    texts = {name: tuple(found) for name, found in addresses_of.items()}
    for (port_name, protocol), found in by_port.items():
        _put(names, own, port_name, protocol, _targets(found, texts))
    names[own] = RecordSet(addresses=tuple(addresses), targets=_targets(everything, texts))


def _targets(
    found: Mapping[tuple[WireName, int], None], addresses: Mapping[WireName, tuple[str, ...]]
) -> tuple[Target, ...]:
    weight = max(1, _FULL_WEIGHT // len(found)) if found else 0
    return tuple(Target(port, weight, host, addresses[host]) for host, port in found)


def _put(
    names: dict[WireName, RecordSet], own: WireName, port_name: str, protocol: str, targets: tuple[Target, ...]
) -> None:
    """The SRV name of a port; a port without a name has none."""
    if not port_name:
        return
    try:
        names[below(own, f"_{port_name}", f"_{protocol}")] = RecordSet(targets=targets)
    except NameTooLongError:
        return


def _usable(endpoint_slice: EndpointSlice, not_ready_too: bool) -> Iterator[tuple[Endpoint, str]]:
    if endpoint_slice.address_type not in ("IPv4", "IPv6"):
        return
    for endpoint in endpoint_slice.endpoints:
        if endpoint.ready or not_ready_too:
            for address in _canonical(endpoint.addresses):
                yield endpoint, address


def _host_name(own: WireName, endpoint: Endpoint, spelled: WireName) -> WireName:
    """The endpoint's host name, or its address as it is spelled in a name where it has none that DNS takes."""
    try:
        return child(own, endpoint.hostname) if endpoint.hostname else spelled
    except ValueError:
        return spelled


def dashed(address: str) -> str:
    """`10-244-1-7`, `2001-db8--1`: an address as a label, in CoreDNS's form."""
    return address.replace(".", "-").replace(":", "-")


def _canonical(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(found for text in addresses if (found := canonical_address(text)) is not None)
