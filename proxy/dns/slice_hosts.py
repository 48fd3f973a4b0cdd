"""The hosts of a headless Service: the endpoints of one slice under their names.

Invariant: what is remembered of a slice is what that very slice, for that very name of the Service, comes to; so a
change costs what changed, and not the thousand endpoints beside it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from proxy.dns.record_set import RecordSet
from proxy.dns.wire_name import WireName, child, reverse_name
from proxy.model.changes import ObjectKey
from proxy.model.endpoint_slice import Endpoint, EndpointSlice
from proxy.plan.addresses import canonical_address

HostPort = tuple[str, str, int]
"""Name, protocol and number."""


class Host(NamedTuple):
    """One address of an endpoint.

    `name` is its host name below the Service's, or `spelled`, its address as a label, where it has none; `reverse` is
    where `pointer` belongs, and `record` is what `spelled` says. `ports` are those of its slice.
    """

    name: WireName
    spelled: WireName
    reverse: WireName
    address: str
    record: RecordSet
    pointer: RecordSet
    ports: tuple[HostPort, ...]


class SliceHosts:
    """Makes hosts, and gives those it has made again for as long as the slice is the same."""

    def __init__(self) -> None:
        self._kept: dict[ObjectKey, tuple[EndpointSlice, WireName, bool, tuple[Host, ...]]] = {}

    def of(self, endpoint_slice: EndpointSlice, own: WireName, not_ready_too: bool) -> tuple[Host, ...]:
        """The slice's hosts below the Service's name `own`."""
        kept = self._kept.get(endpoint_slice.key)
        if kept is not None and kept[0] is endpoint_slice and kept[1] == own and kept[2] == not_ready_too:
            return kept[3]
        hosts = tuple(_hosts(endpoint_slice, own, not_ready_too))
        self._kept[endpoint_slice.key] = (endpoint_slice, own, not_ready_too, hosts)
        return hosts

    def forget(self, keys: Iterable[ObjectKey]) -> None:
        """These slices are gone."""
        for key in keys:
            self._kept.pop(key, None)


def _hosts(endpoint_slice: EndpointSlice, own: WireName, not_ready_too: bool) -> Iterator[Host]:
    ports = tuple((port.name or "", port.protocol or "TCP", port.port) for port in endpoint_slice.ports if port.port)
    for endpoint, address in _usable(endpoint_slice, not_ready_too):
        spelled = child(own, dashed(address))
        name = _host_name(own, endpoint, spelled)
        record, pointer = RecordSet(addresses=(address,)), RecordSet(pointers=(name,))
        yield Host(name, spelled, reverse_name(address), address, record, pointer, ports)


def _usable(endpoint_slice: EndpointSlice, not_ready_too: bool) -> Iterator[tuple[Endpoint, str]]:
    if endpoint_slice.address_type not in ("IPv4", "IPv6"):
        return
    for endpoint in endpoint_slice.endpoints:
        if endpoint.ready or not_ready_too:
            for text in endpoint.addresses:
                address = canonical_address(text)
                if address is not None:
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
