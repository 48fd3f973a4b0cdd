"""Who holds a port that could not be bound, for the message that says so.

Asked only after a failed bind, so it may be slow. Invariant: it never raises for want of permission or because the
holder is gone by now; it then knows nobody.
"""

import ipaddress
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from typing import NamedTuple

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class _BoundSocket(NamedTuple):
    address: _IPAddress
    pid: int


Place = tuple[str, int]
"""Address and port."""


def holder_of(protocol: str, address: str, port: int) -> str | None:
    """The process whose socket is in the way of binding ("TCP" or "UDP", address, port), such as `nginx (pid 1234)`.

    A wildcard address is in the way of every address of its family and each of them of the wildcard; `::` may serve
    IPv4 as well. None when there is no such process, or when it may not be seen: without privileges
    the system tells about one's own processes only.
    """
    return holders_of(protocol, ((address, port),)).get((address, port))


def holders_of(protocol: str, places: Collection[Place]) -> Mapping[Place, str]:
    """The same for many places at the cost of one look at all processes; who is not known is left out."""
    by_port: dict[int, list[_BoundSocket]] = {port: [] for _, port in places}
    for port, bound in _bound_sockets(protocol, by_port.keys()):
        by_port[port].append(bound)
    holders = {place: _name_of(_plain(place[0]), by_port[place[1]]) for place in places}
    return {place: holder for place, holder in holders.items() if holder is not None}


def _name_of(asked: _IPAddress, found: Iterable[_BoundSocket]) -> str | None:
    # Rarely needed, and slow to import.
    import psutil

    clashing = [bound for bound in found if _clash(asked, bound.address)]
    clashing.sort(key=lambda bound: (bound.address != asked, bound.address.version != asked.version))
    for bound in clashing:
        try:
            return f"{psutil.Process(bound.pid).name()} (pid {bound.pid})"
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None


def _bound_sockets(protocol: str, ports: Container[int]) -> Iterator[tuple[int, _BoundSocket]]:
    """The sockets of visible processes that hold one of `ports`: TCP listeners, or UDP sockets of any kind."""
    import psutil

    try:
        connections = psutil.net_connections(protocol.lower())
    except psutil.AccessDenied:
        return
    for connection in connections:
        holds = protocol == "UDP" or connection.status == psutil.CONN_LISTEN
        if holds and connection.pid and connection.laddr and connection.laddr.port in ports:
            yield connection.laddr.port, _BoundSocket(_plain(connection.laddr.ip), connection.pid)


def _clash(asked: _IPAddress, bound: _IPAddress) -> bool:
    if asked.version == bound.version:
        return asked == bound or asked.is_unspecified or bound.is_unspecified
    return any(address.version == 6 and address.is_unspecified for address in (asked, bound))


def _plain(address: str) -> _IPAddress:
    """The address without a scope, and as IPv4 where it is an IPv4 address in IPv6 clothes."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return getattr(parsed, "ipv4_mapped", None) or parsed
