"""A Service in one line, `NAME:PORT[/PROTOCOL]=ENDPOINT[,ENDPOINT...]`, as `--service` takes it.

Pure. Invariant: lines become ordinary manifests, so that what is true of a manifest is true of a line.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from proxy.model.names import dns_label_messages
from proxy.sources.manifest_file import ManifestFile, parse_manifest

SHAPE = "NAME:PORT[/PROTOCOL]=ENDPOINT[,ENDPOINT...]"
_EXAMPLE = "web:8000=127.0.0.1:3000,:3001 or dns:53/udp=127.0.0.1:5353"
_ORIGIN = "--service"
_LABEL = "svcproxy.io/service"
_PROTOCOLS = ("TCP", "UDP")
_LOOPBACK: Mapping[str, str] = MappingProxyType({"IPv4": "127.0.0.1", "IPv6": "::1"})


class ServiceLine(NamedTuple):
    """One port of one Service. `endpoints` are addresses and ports, all of one family."""

    name: str
    port: int
    protocol: str
    endpoints: tuple[tuple[str, int], ...]

    @property
    def port_name(self) -> str:
        """The name that tells this port from the Service's others."""
        return f"{self.protocol}-{self.port}".lower()

    @property
    def family(self) -> str:
        """IPv4 or IPv6."""
        return "IPv6" if ":" in self.endpoints[0][0] else "IPv4"

    @property
    def address(self) -> tuple[str, int]:
        """Where clients of this machine find the port."""
        return _LOOPBACK[self.family], self.port


def parse_service_line(text: str) -> ServiceLine:
    """Raises ValueError, saying what is wrong and how it is written."""
    front, equals, back = text.partition("=")
    name, colon, place = front.partition(":")
    if not equals or not colon or not back:
        raise ValueError(f'"{text}" must be {SHAPE}: for example {_EXAMPLE}')
    for message in dns_label_messages(name):
        raise ValueError(f'"{name}" in "{text}" is not a Service\'s name: {message}')
    number, slash, protocol = place.partition("/")
    if slash and protocol.upper() not in _PROTOCOLS:
        raise ValueError(f'"{protocol}" in "{text}" must be tcp or udp')
    line = ServiceLine(name, _port(number, text), protocol.upper() or "TCP", tuple(_endpoints(back, text)))
    if len({":" in address for address, _ in line.endpoints}) > 1:
        raise ValueError(f'"{text}" mixes IPv4 and IPv6: give each family a Service of its own')
    if line.address in line.endpoints:
        raise ValueError(f'"{text}" leads back to itself: the Service listens on port {line.port}, choose another')
    return line


def manifest_of(texts: Sequence[str]) -> tuple[ManifestFile, ...]:
    """The lines as one manifest; nothing where there are none. Lines of one name are ports of one Service.

    Raises ValueError as `parse_service_line` does.
    """
    lines = sorted(map(parse_service_line, texts), key=attrgetter("name"))
    if not lines:
        return ()
    documents = [document for _, of_one in groupby(lines, attrgetter("name")) for document in _documents([*of_one])]
    content = b"\n---\n".join(map(msgspec.json.encode, documents))
    return (parse_manifest(_ORIGIN, content),)


def _endpoints(back: str, text: str) -> Iterator[tuple[str, int]]:
    """An endpoint without an address has that of the one before it."""
    address = _LOOPBACK["IPv4"]
    for part in back.split(","):
        host, _, number = part.strip().rpartition(":")
        if host:
            address = str(_address(host, text))
        yield address, _port(number, text)


def _address(host: str, text: str) -> IPv4Address | IPv6Address:
    if host == "localhost":
        return ip_address(_LOOPBACK["IPv4"])
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise ValueError(f'"{host}" in "{text}" is not an IP address: an endpoint is ADDRESS:PORT or :PORT') from error


def _port(number: str, text: str) -> int:
    if number.isascii() and number.isdecimal() and 1 <= int(number) <= 65535:
        return int(number)
    raise ValueError(f'"{number}" in "{text}" is not a port from 1 to 65535')


def _documents(lines: Sequence[ServiceLine]) -> Iterator[dict[str, Any]]:
    """A Service that clients of this machine find on loopback, and a Pod for each endpoint."""
    name = lines[0].name
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": False,
            "ipFamilies": [lines[0].family],
            "selector": {_LABEL: name},
            "ports": [
                {"name": line.port_name, "port": line.port, "protocol": line.protocol, "targetPort": line.port_name}
                for line in lines
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": address} for address in _front_addresses(lines)]}},
    }
    endpoints = [(line, endpoint) for line in lines for endpoint in line.endpoints]
    for number, (line, (address, port)) in enumerate(endpoints, 1):
        named = {"name": line.port_name, "containerPort": port, "protocol": line.protocol}
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{name}-{number}", "labels": {_LABEL: name}},
            "spec": {"containers": [{"name": name, "image": "none", "ports": [named]}]},
            "status": {"phase": "Running", "podIP": address},
        }


def _front_addresses(lines: Iterable[ServiceLine]) -> Iterable[str]:
    return dict.fromkeys(line.address[0] for line in lines)
