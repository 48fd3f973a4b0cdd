"""What a user asks to have explained: `ADDRESS:PORT[/PROTOCOL]`, and the client as `ADDRESS[:PORT]`.

Pure. Invariant: an IPv6 address with a port has brackets, one without may go without.
"""

import ipaddress
import re
from typing import NamedTuple

_HIGHEST_PORT = 65535
_HOST_NAME = re.compile(r"(?![\d.]+$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?")


class Target(NamedTuple):
    """A place that a Service may have."""

    protocol: str
    address: str
    port: int


def parse_target(text: str) -> Target:
    """Raises ValueError, saying what it should be."""
    place, slash, protocol = text.partition("/")
    if slash and protocol.upper() not in ("TCP", "UDP"):
        raise ValueError(f'"{text}" must end with /tcp or /udp, or with the port for tcp')
    address, port = _split(place)
    if not address or not port:
        raise ValueError(f'"{text}" must be ADDRESS:PORT or ADDRESS:PORT/udp, an IPv6 address in brackets')
    return Target(protocol.upper() or "TCP", address, port)


class ServiceName(NamedTuple):
    """A Service by its name in DNS. An empty `namespace` is the user's, a `port` of 0 any."""

    name: str
    namespace: str
    protocol: str
    port: int


def parse_service_name(text: str) -> ServiceName | None:
    """`NAME.NAMESPACE.svc[.ZONE][:PORT[/PROTOCOL]]`; None for anything else."""
    place, _, protocol = text.partition("/")
    host, _, port = place.partition(":")
    name, _, rest = host.rstrip(".").partition(".")
    namespace, _, zone = rest.partition(".")
    if not name or not namespace or zone.partition(".")[0] != "svc" or (port and not _is_port(port)):
        return None
    return ServiceName(name, namespace, protocol.upper() or "TCP", int(port or 0))


def is_host_name(text: str) -> bool:
    """Whether this may be a name for the resolver, and is no address."""
    return bool(_HOST_NAME.fullmatch(text)) and not _address(text)


def parse_client(text: str) -> tuple[str, int]:
    """Address and port, 0 where none is given. Raises ValueError, saying what it should be."""
    address, port = _split(text)
    if not address:
        raise ValueError(f'"{text}" must be an IP address, or ADDRESS:PORT for the client of a UDP flow')
    return address, port


def _split(text: str) -> tuple[str, int]:
    """Address and port, the latter 0 where there is none; two empty ones where it is neither."""
    whole = _address(text)
    if whole:
        return whole, 0
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    address = _address(host[1:-1] if bracketed else host)
    if not address or (":" in host) != bracketed or not _is_port(port):
        return "", 0
    return address, int(port)


def _address(text: str) -> str:
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(inner))
    except ValueError:
        return ""


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= _HIGHEST_PORT
