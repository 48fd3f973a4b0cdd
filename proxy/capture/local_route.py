"""Whether packets to an address stay on this machine, as the kernel's routing has it.

A bind would prove nothing: `ip_nonlocal_bind` lets anybody bind any address. Invariant: nothing is sent or changed.
"""

import ipaddress
import socket

_LOCAL_TYPE = 2
"""RTN_LOCAL of linux/rtnetlink.h."""


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


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
