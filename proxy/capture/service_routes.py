"""Makes the service ranges addresses of this machine, where that is permitted.

127/8 is local on Linux as it is; any other range becomes so by one route of
type `local` on the loopback device, which needs CAP_NET_ADMIN. Invariant: only routes added here are removed here.
"""

import ipaddress
import logging
import socket
from collections.abc import Iterable
from os import strerror

from proxy.capture.local_route import is_local
from proxy.logs import fields

_log = logging.getLogger(__name__)

_LOCAL_TABLE = 255
_SCOPE_HOST = 254


class ServiceRoutes:
    """Adds what is missing with `add`, takes it back with `remove`. `covers` tells whether an address lies in a
    range that is routed to this machine: IPv6 lets nobody bind such an address without IPV6_FREEBIND.

    `add` and `remove` block, and pyroute2 cannot work where an event loop runs: call them in a thread of their own."""

    def __init__(self) -> None:
        self._added: list[str] = []
        self._local: list[tuple[socket.AddressFamily, int, int]] = []

    def covers(self, address: str) -> bool:
        """Whether the address is in one of the ranges given to `add` and that range is local."""
        family = _family_of(address)
        # Asked once for every frontend, where ipaddress takes ten times as long.
        number = int.from_bytes(socket.inet_pton(family, address), "big")
        return any(family == each and number & mask == network for each, network, mask in self._local)

    def add(self, ranges: Iterable[str]) -> None:
        """Route each CIDR to this machine. What may not be routed is said once; its frontends then fail to bind."""
        for cidr in ranges:
            if is_local(_an_address_of(cidr)) or self._make_local(cidr):
                network = ipaddress.ip_network(cidr)
                self._local.append((_family_of(cidr), int(network.network_address), int(network.netmask)))

    def _make_local(self, cidr: str) -> bool:
        try:
            _change_route("add", cidr)
        except OSError as error:
            _log.warning(
                f"the service range {cidr} is not local and cannot be made so: {error.strerror}; "
                f"run once as root: ip route add local {cidr} dev lo",
                extra=fields(range=cidr),
            )
            return False
        self._added.append(cidr)
        _log.info("service range made local", extra=fields(range=cidr))
        return True

    def remove(self) -> None:
        """Take back the routes that `add` made."""
        while self._added:
            cidr = self._added.pop()
            try:
                _change_route("del", cidr)
            except OSError as error:
                _log.warning(f"the route to {cidr} could not be removed: {error.strerror}")


def _family_of(text: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in text else socket.AF_INET


def _an_address_of(cidr: str) -> str:
    network = ipaddress.ip_network(cidr)
    return str(network[1] if network.num_addresses > 1 else network[0])


def _change_route(command: str, cidr: str) -> None:
    """Add or delete the route of type local. Raises OSError with the kernel's reason."""
    # pyroute2 takes 0.2 s to import, and most runs have nothing to route.
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    family = socket.AF_INET6 if ":" in cidr else socket.AF_INET
    try:
        with IPRoute() as routes:
            routes.route(
                command,
                dst=cidr,
                family=family,
                type="local",
                table=_LOCAL_TABLE,
                scope=_SCOPE_HOST if family == socket.AF_INET else 0,
                oif=routes.link_lookup(ifname="lo")[0],
            )
    except NetlinkError as error:
        raise OSError(error.code, strerror(error.code)) from error
