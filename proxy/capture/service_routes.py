"""Makes the service ranges addresses of this machine, where that is permitted.

127/8 is local on Linux as it is; any other range becomes so by one route of
type `local` on the loopback device, which needs CAP_NET_ADMIN. Invariant: only routes added here are removed here.
"""

import ipaddress
import logging
import socket
from collections.abc import Iterable

from proxy.capture.local_route import change_local_route, is_local
from proxy.logs import fields

_log = logging.getLogger(__name__)


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
            change_local_route("add", cidr)
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
                change_local_route("del", cidr)
            except OSError as error:
                _log.warning(f"the route to {cidr} could not be removed: {error.strerror}")


def _family_of(text: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in text else socket.AF_INET


def _an_address_of(cidr: str) -> str:
    network = ipaddress.ip_network(cidr)
    return str(network[1] if network.num_addresses > 1 else network[0])
