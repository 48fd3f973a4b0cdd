"""The system's resolvers: the `nameserver` lines of resolv.conf(5).

Invariant: what is not an address is passed over, as the C library does.
"""

from ipaddress import ip_address

from proxy.dns.settings import SocketAddress

MOST_SERVERS = 3
"""As the C library has it (MAXNS)."""


def name_servers(text: str) -> tuple[SocketAddress, ...]:
    """The first three servers in the text of a resolv.conf, with port 53."""
    found: list[SocketAddress] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and _is_address(words[1]):
            found.append((words[1], 53))
    return tuple(found[:MOST_SERVERS])


def without_ourselves(servers: tuple[SocketAddress, ...], own: tuple[SocketAddress, ...]) -> tuple[SocketAddress, ...]:
    """The servers that are not ourselves; a wildcard of ours is every address of this machine's loopback."""
    return tuple(server for server in servers if not any(_is_same(server, each) for each in own))


def _is_same(server: SocketAddress, own: SocketAddress) -> bool:
    if server[1] != own[1]:
        return False
    asked, ours = ip_address(server[0].partition("%")[0]), ip_address(own[0])
    return asked == ours or (ours.is_unspecified and asked.is_loopback)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
