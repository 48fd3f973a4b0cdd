"""Service addresses: where a Service is to be reached in one family, and why it is not elsewhere.

Invariant: a Service has a family only if it has a cluster IP of that family, whatever its other addresses are
(kube-proxy, pkg/proxy/serviceport.go).
"""

import enum
from collections.abc import Collection, Iterator
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from proxy.model.service import LoadBalancerIngress, Service
from proxy.plan.addresses import canonical_address, family_of
from proxy.plan.own_places import WILDCARDS
from proxy.plan.settings import PlanSettings

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"


class AddressKind(enum.StrEnum):
    """How an address came to a Service; the value is the `kind` of its frontends."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    EXTERNAL_IP = "ExternalIP"
    LOAD_BALANCER = "LoadBalancer"


class ServiceAddress(NamedTuple):
    """One address; `source_ranges` are CIDRs, and an empty tuple lets every source in."""

    kind: AddressKind
    address: str
    source_ranges: tuple[str, ...] = ()


def unserved_reason(service: Service, families: Collection[str], settings: PlanSettings) -> str:
    """Why the Service, of these families, has no listener at all, in words for people; empty for one that is served."""
    name = service.metadata.labels.get(PROXY_NAME_LABEL)
    if name is not None and name != (settings.proxy_name or None):
        return f'labelled for proxy "{name}"'
    if name is None and settings.proxy_name:
        return f'not labelled for proxy "{settings.proxy_name}"'
    if service.spec.type == "ExternalName":
        return "ExternalName: DNS answers with another name, there is no address to listen on"
    if "None" in service.spec.cluster_ips:
        return "headless: DNS answers with the endpoints, there is no address to listen on"
    return "" if families else "waiting for a cluster IP"


def families_of(service: Service) -> tuple[str, ...]:
    """IPv4, IPv6 or both, the family of the first cluster IP first."""
    return tuple(dict.fromkeys(family_of(address) for address in _canonical(service.spec.cluster_ips)))


def service_addresses(service: Service, family: str, settings: PlanSettings) -> Iterator[ServiceAddress]:
    """Every address of one family; the first entry of a repeated one counts.

    Load balancer addresses come before external IPs, so that an address which is both keeps its source ranges.
    """
    spec = service.spec
    addresses = [ServiceAddress(AddressKind.CLUSTER_IP, address) for address in _canonical(spec.cluster_ips)]
    balanced = [ingress.ip for ingress in _ingress(service) if not _ingress_note(ingress)]
    allowed = settings.external_ip_ranges
    if balanced:
        ranges = _source_ranges(spec.load_balancer_source_ranges, family)
        vips = (address for address in _canonical(balanced) if _is_allowed(address, allowed))
        addresses += [ServiceAddress(AddressKind.LOAD_BALANCER, address, ranges) for address in vips]
    external = (address for address in _canonical(spec.external_ips) if _is_allowed(address, allowed))
    addresses += [ServiceAddress(AddressKind.EXTERNAL_IP, address) for address in external]
    addresses += [ServiceAddress(AddressKind.NODE_PORT, address) for address in settings.node_port_addresses]
    return (each for each in addresses if family_of(each.address) == family)


def address_notes(service: Service, families: Collection[str], settings: PlanSettings) -> Iterator[str]:
    """Why a served Service of these families is not reached at some of its addresses, in words for people."""
    ingresses = _ingress(service)
    if service.spec.type == "LoadBalancer" and not ingresses:
        yield "waiting for a load balancer address"
    yield from (note for ingress in ingresses if (note := _ingress_note(ingress)))
    outside = (*service.spec.external_ips, *(ingress.ip for ingress in ingresses))
    for text in dict.fromkeys((*service.spec.cluster_ips, *outside)):
        if canonical_address(text) in WILDCARDS:
            yield f"address {text}: it is every address of this machine, and not listened on"
    for address in dict.fromkeys(_canonical(outside)):
        if family_of(address) not in families:
            yield f"address {address}: the Service has no {family_of(address)} cluster IP"
        elif not _is_allowed(address, settings.external_ip_ranges):
            yield f"address {address}: it is in none of externalIPRanges {', '.join(settings.external_ip_ranges)}"
    if any(port.node_port for port in service.spec.ports):
        listening = {family_of(address) for address in settings.node_port_addresses}
        for family in families:
            if family not in listening:
                yield f"node ports: this machine has no {family} address for them (nodePortAddresses, bindAddress)"


def _is_allowed(address: str, ranges: tuple[str, ...]) -> bool:
    return not ranges or any(ip_address(address) in ip_network(cidr) for cidr in ranges)


def _ingress(service: Service) -> tuple[LoadBalancerIngress, ...]:
    return service.status.load_balancer.ingress if service.spec.type == "LoadBalancer" else ()


def _ingress_note(ingress: LoadBalancerIngress) -> str:
    if not ingress.ip:
        return f"load balancer address {ingress.hostname}: only a hostname"
    if ingress.ip_mode not in (None, "VIP"):
        return f"load balancer address {ingress.ip}: ipMode {ingress.ip_mode} keeps it with the load balancer"
    return ""


def _source_ranges(ranges: tuple[str, ...], family: str) -> tuple[str, ...]:
    """The ranges of one family, as kube-proxy parts them; a /0 among them lets all of that family in.

    Ranges of the other family alone are kept and so match no source: a Service that names who may come is not open to a
    family for want of a range in it. (kube-proxy would let that family in.)
    """
    trimmed = tuple(each.strip() for each in ranges)
    own = tuple(each for each in trimmed if family_of(each) == family)
    if any(each.endswith("/0") for each in own):
        return ()
    return own or trimmed


def _canonical(addresses: tuple[str, ...] | list[str]) -> list[str]:
    """Those that are addresses of something; a wildcard would be every address of this machine."""
    found = (canonical_address(text) for text in addresses)
    return [address for address in found if address is not None and address not in WILDCARDS]
