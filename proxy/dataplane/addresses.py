"""Addresses: of clients as numbers, the way schedulers and the affinity table take them, of frontends as the kernel
gives them.

Invariant: the same address gives the same number in every process.
"""

import ipaddress
import socket

from proxy.plan.frontend import FrontendKey


def client_number(host: str) -> int:
    """The address as an unsigned integer, 32 bits for IPv4 and 128 for IPv6; a scope (`%eth0`) is left out."""
    if ":" in host:
        return int.from_bytes(socket.inet_pton(socket.AF_INET6, host.partition("%")[0]), "big")
    return int.from_bytes(socket.inet_aton(host), "big")


def client_text(number: int, family: socket.AddressFamily) -> str:
    """The address that has this number in its family."""
    return socket.inet_ntop(family, number.to_bytes(16 if family == socket.AF_INET6 else 4, "big"))


def fold(number: int) -> int:
    """A client number in the 32 bits that hash schedulers key on (ip_vs_sh.c: the XOR of an IPv6 address's words)."""
    return (number ^ number >> 32 ^ number >> 64 ^ number >> 96) & 0xFFFFFFFF


def endpoint_text(host: str, port: int) -> str:
    """`address:port` for people, with brackets round IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_wildcard(address: str) -> bool:
    """Whether the address stands for every local address of its family."""
    return ipaddress.ip_address(address).is_unspecified


def place_of(key: FrontendKey) -> tuple[str, int]:
    """Address and port as getsockname gives them: an IPv6 address may be written in more than one way."""
    if ":" not in key.address:
        return key.address, key.port
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, key.address)), key.port
