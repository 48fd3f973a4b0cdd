"""From which port on anybody may bind in this network namespace.

Invariant: an answer is always given; where the kernel does not say, it is the usual one.
"""

from pathlib import Path

SYSCTL = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
"""Of the reading thread's namespace, and IPv6's as well (Linux 4.11, Documentation/networking/ip-sysctl.rst)."""
USUAL_START = 1024
"""What it is unless somebody changes it, and what it was before that could be done."""


def first_unprivileged_port() -> int:
    """Ports below it take the capability NET_BIND_SERVICE; 0 is none of them."""
    try:
        return int(SYSCTL.read_text())
    except (OSError, ValueError):
        return USUAL_START
