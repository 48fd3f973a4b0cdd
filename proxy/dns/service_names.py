"""The names of one Service, as the Kubernetes DNS specification 1.1 (2.3 to 2.5) has them.

Invariant: a pure function of the Service and its slices, whose order does not matter; no record is there twice. A name
that is too long for DNS is left out; every other one is there.

Beyond the specification, as CoreDNS does: the Service's own name has the SRV records of all ports, which peer finders
ask for. The port of a headless Service's SRV record is the endpoint's, not the Service's: the endpoint is what is
connected to.
"""

from collections.abc import Iterable, Mapping

from proxy.dns.record_set import EMPTY, RecordSet, Target
from proxy.dns.slice_hosts import Host, SliceHosts
from proxy.dns.wire_name import NameTooLongError, WireName, below, reverse_name, wire_name
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.service import Service
from proxy.plan.addresses import canonical_address

HEADLESS = "None"
_FULL_WEIGHT = 100


def service_names(
    service: Service, slices: Iterable[EndpointSlice], services_zone: WireName, hosts_of: SliceHosts
) -> Mapping[WireName, RecordSet]:
    """Every name of the Service, PTR names included; `services_zone` is `svc` of the cluster's zone."""
    try:
        own = below(services_zone, service.metadata.name, service.metadata.namespace)
    except ValueError:
        return {}
    if service.spec.type == "ExternalName":
        return _alias(own, service.spec.external_name)
    if service.spec.cluster_ip == HEADLESS:
        return _headless(own, service, slices, hosts_of)
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
    # A port that is served over TCP and UDP is one record here: SRV data says nothing of the protocol.
    numbers = dict.fromkeys(port.port for port in spec.ports)
    everything = tuple(Target(number, _FULL_WEIGHT, own, addresses) for number in numbers)
    names[own] = RecordSet(addresses=addresses, targets=everything)
    for address in addresses:
        names[reverse_name(address)] = RecordSet(pointers=(own,))
    return names


def _headless(
    own: WireName, service: Service, slices: Iterable[EndpointSlice], hosts_of: SliceHosts
) -> dict[WireName, RecordSet]:
    """A Service that is its endpoints; without a usable one there is no such name (2.4.1)."""
    not_ready_too = service.spec.publish_not_ready_addresses
    by_address: dict[str, Host] = {}
    names: dict[WireName, RecordSet] = {}
    for endpoint_slice in sorted(slices, key=lambda each: each.key):
        for host in hosts_of.of(endpoint_slice, own, not_ready_too):
            _add(names, host.spelled, host.record)
            if host.name != host.spelled:
                _add(names, host.name, host.record)
            known = by_address.get(host.address)
            if known is not None:
                host = host._replace(ports=tuple(dict.fromkeys((*known.ports, *host.ports))))
            by_address[host.address] = host
    if not by_address:
        return names
    _put_targets(names, own, by_address.values())
    for host in by_address.values():
        names[host.reverse] = host.pointer
    return names


def _add(names: dict[WireName, RecordSet], name: WireName, record: RecordSet) -> None:
    """One more address of a name, which several endpoints may share."""
    known = names.setdefault(name, record)
    if known is not record and record.addresses[0] not in known.addresses:
        names[name] = RecordSet(addresses=known.addresses + record.addresses)


def _put_targets(names: dict[WireName, RecordSet], own: WireName, hosts: Iterable[Host]) -> None:
    """The Service's own name, and its SRV records: one for each host and port, a host of two families once."""
    by_port: dict[tuple[str, str], dict[tuple[WireName, int], None]] = {}
    everything: dict[tuple[WireName, int], None] = {}
    addresses = []
    for host in hosts:
        addresses.append(host.address)
        for port_name, protocol, number in host.ports:
            by_port.setdefault((port_name, protocol), {})[host.name, number] = None
            everything[host.name, number] = None
    records = RecordSet(addresses=tuple(addresses), targets=_targets(everything, names))
    for (port_name, protocol), found in by_port.items():
        _put(names, own, port_name, protocol, _targets(found, names))
    names[own] = records


def _targets(found: Mapping[tuple[WireName, int], None], names: Mapping[WireName, RecordSet]) -> tuple[Target, ...]:
    weight = max(1, _FULL_WEIGHT // len(found)) if found else 0
    return tuple(Target(port, weight, host, names[host].addresses) for host, port in found)


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


def _canonical(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found for text in addresses if (found := canonical_address(text)) is not None))
