"""IP addresses as text: one spelling for each, its family, and the form `ip:port`.

Invariant: two spellings of one address have the same canonical text, so that addresses are compared, sorted and used as
keys as strings everywhere else.
"""

import re
from ipaddress import IPv6Address, ip_address

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_CANONICAL_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_SLOPPY_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}")


def canonical_address(text: str) -> str | None:
    """The canonical spelling, or None for what is not an address.

    Reads what older API servers let in (k8s.io/utils/net ParseIPSloppy): leading zeros are decimal, and an
    IPv4-mapped IPv6 address is the IPv4 address.
    """
    if _CANONICAL_IPV4.fullmatch(text):
        return text  # nearly every address there is, and ten times quicker than the way through ipaddress
    if _SLOPPY_IPV4.fullmatch(text):
        text = ".".join(octet.lstrip("0") or "0" for octet in text.split("."))
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def family_of(address: str) -> str:
    """IPv4 or IPv6, of a canonical address."""
    return "IPv6" if ":" in address else "IPv4"


def with_port(address: str, port: int) -> str:
    """`10.0.0.1:80` or `[2001:db8::1]:80` (Go's net.JoinHostPort)."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
