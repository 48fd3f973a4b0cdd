"""The addresses of this machine, and those of them that node ports listen on.

Reads the machine's interfaces (psutil). Invariant: an address that is given is one of this machine's or a wildcard; a
family that no CIDR speaks of means all of it, as kube-proxy has it (--nodeport-addresses).
"""

import ipaddress
import socket
from collections.abc import Collection, Iterable, Iterator

import psutil

from proxy.configuration.config import Configuration
from proxy.configuration.config_values import PRIMARY
from proxy.model.problem import Problem

_KEY = "nodePortAddresses"
_WILDCARDS = ("0.0.0.0", "::")
# Addresses of documentation (RFC 5737, RFC 3849): a UDP connect asks the routing table and sends nothing.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def node_port_addresses(configuration: Configuration) -> tuple[str, ...]:
    """One address per socket that a node port opens."""
    if not configuration.node_port_addresses:
        return _WILDCARDS if configuration.bind_address in _WILDCARDS else (configuration.bind_address,)
    if PRIMARY in configuration.node_port_addresses:
        return tuple(_primary_addresses())
    networks = [ipaddress.ip_network(cidr, strict=False) for cidr in configuration.node_port_addresses]
    return tuple(address for version in (4, 6) for address in _matching(networks, version))


def node_address_problems(configuration: Configuration, addresses: Collection[str]) -> tuple[Problem, ...]:
    """What is wrong with `addresses`, which `node_port_addresses` gave: no address of a family that CIDRs are for."""
    asked = configuration.node_port_addresses
    if PRIMARY in asked:
        return (
            () if addresses else (Problem("this machine has no main address: node ports listen nowhere", where=_KEY),)
        )
    return tuple(
        Problem(f"no {name} address of this machine is in {', '.join(cidrs)}: node ports do not listen", where=_KEY)
        for name, is_ipv6 in (("IPv4", False), ("IPv6", True))
        if (cidrs := [cidr for cidr in asked if (":" in cidr) is is_ipv6])
        and not any((":" in address) is is_ipv6 for address in addresses)
    )


def local_addresses() -> tuple[str, ...]:
    """Every address of an interface, link-local ones of IPv6 aside."""
    return (*_local_addresses(4), *_local_addresses(6))


def _matching(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], version: int) -> Iterator[str]:
    mine = [network for network in networks if network.version == version]
    if not mine or any(network.prefixlen == 0 for network in mine):
        yield _WILDCARDS[0] if version == 4 else _WILDCARDS[1]
        return
    # Every address of 127/8 is local on Linux, whatever the interface lists; one that is named on its own is meant.
    named = {str(network[0]) for network in mine if network.num_addresses == 1 and network.is_loopback}
    matching = {each for each in _local_addresses(version) if any(ipaddress.ip_address(each) in one for one in mine)}
    yield from sorted(named | matching)


def _local_addresses(version: int) -> list[str]:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    found = {
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        # A link-local address is nothing without its interface.
        if entry.family == family and "%" not in entry.address
    }
    return sorted(found)


def _primary_addresses() -> Iterator[str]:
    for family, elsewhere in _ELSEWHERE.items():
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((elsewhere, 9))
            except OSError:
                continue
            yield probe.getsockname()[0]
