"""Whether packets to an address stay on this machine, as the kernel's routing has it; and the route that makes it so.

A bind would prove nothing: `ip_nonlocal_bind` lets anybody bind any address. Invariant: to ask sends and changes
nothing.
"""

import ipaddress
import socket
from os import strerror

_LOCAL_TYPE = 2
"""RTN_LOCAL of linux/rtnetlink.h."""
_LOCAL_TABLE = 255
_SCOPE_HOST = 254


def is_local(address: str) -> bool:
    """Whether the address is one of this machine's, by an interface or by a route.

    It blocks, and pyroute2 cannot work where an event loop runs: call it in a thread of its own."""
    if ipaddress.ip_address(address).is_loopback:
        # The usual service range is there, and pyroute2 takes 0.2 s to import.
        return _can_bind(address)
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as routes:
            return any(route["type"] == _LOCAL_TYPE for route in routes.route("get", dst=address))
    except NetlinkError:
        return False


def change_local_route(command: str, destination: str) -> None:
    """Add or delete ("add", "del") the route of type local to an address or CIDR, which needs CAP_NET_ADMIN. It blocks,
    as `is_local` does. Raises OSError with the kernel's reason."""
    # pyroute2 takes 0.2 s to import, and most runs have nothing to route.
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    cidr = str(ipaddress.ip_network(destination))
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


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
