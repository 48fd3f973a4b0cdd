"""What a user asks to have explained: `ADDRESS:PORT[/PROTOCOL]`, and the client as `ADDRESS[:PORT]`.

Imports nothing of ours. Pure. Invariant: an IPv6 address with a port has brackets, one without may go without.
"""

import ipaddress
from typing import NamedTuple

_HIGHEST_PORT = 65535


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
