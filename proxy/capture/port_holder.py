"""Who holds a port that could not be bound, for the message that says so.

Imports nothing of ours. Asked only after a failed bind, so it may be slow. Invariant: it never raises for want of
permission or because the holder is gone by now; it then knows nobody.
"""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class _BoundSocket(NamedTuple):
    address: _IPAddress
    pid: int


def holder_of(protocol: str, address: str, port: int) -> str | None:
    """The process whose socket is in the way of binding ("TCP" or "UDP", address, port), such as `nginx (pid 1234)`.

    A wildcard address is in the way of every address of its family and each of them of the wildcard; `::` may serve
    IPv4 as well. None when there is no such process, or when it may not be seen: without privileges
    the system tells about one's own processes only.
    """
    # Rarely needed, and slow to import.
    import psutil

    asked = _plain(address)
    clashing = [bound for bound in _bound_sockets(protocol, port) if _clash(asked, bound.address)]
    clashing.sort(key=lambda bound: (bound.address != asked, bound.address.version != asked.version))
    for bound in clashing:
        try:
            return f"{psutil.Process(bound.pid).name()} (pid {bound.pid})"
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None


def _bound_sockets(protocol: str, port: int) -> Iterable[_BoundSocket]:
    """The sockets of visible processes that hold `port`: TCP listeners, or UDP sockets of any kind."""
    import psutil

    try:
        connections = psutil.net_connections(protocol.lower())
    except psutil.AccessDenied:
        return
    for connection in connections:
        holds = protocol == "UDP" or connection.status == psutil.CONN_LISTEN
        if holds and connection.pid and connection.laddr and connection.laddr.port == port:
            yield _BoundSocket(_plain(connection.laddr.ip), connection.pid)


def _clash(asked: _IPAddress, bound: _IPAddress) -> bool:
    if asked.version == bound.version:
        return asked == bound or asked.is_unspecified or bound.is_unspecified
    return any(address.version == 6 and address.is_unspecified for address in (asked, bound))


def _plain(address: str) -> _IPAddress:
    """The address without a scope, and as IPv4 where it is an IPv4 address in IPv6 clothes."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return getattr(parsed, "ipv4_mapped", None) or parsed
