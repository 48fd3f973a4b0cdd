"""How many file descriptors the process may open, and how many of them are the data plane's.

Imports `admin`'s bounds. Invariant: what the control process needs for itself (health, admin, files it reads) is set
aside before the data plane gets any.
"""

import os
import resource

from proxy.admin.bounded_connections import USUAL_BOUNDS, HTTPBounds

RESERVE = 192
"""Descriptors that stay free for the control process: its files, and who reads health, metrics and the page."""
SMALL_RESERVE = 28
"""The same where there are less than `SMALL` of them."""
SMALL = 1024
LISTENING_SHARE = 0.9
"""Of all descriptors, so many may be listening sockets and what was open before them."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one, which needs no privilege; gives the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30


def data_plane_share(limit: int) -> int:
    """What is left of `limit` after the descriptors that are open now and the reserve; at least two."""
    return max(2, limit - len(os.listdir("/proc/self/fd")) - _reserve(limit))


def http_bounds(limit: int) -> HTTPBounds:
    """How many connections may ask about the proxy: with those on their way out, a part of the reserve."""
    return USUAL_BOUNDS if limit >= SMALL else HTTPBounds(health=2, admin=6)


def most_listening(limit: int) -> int:
    """The number below which a listening socket's descriptor must be."""
    return min(int(limit * LISTENING_SHARE), limit - _reserve(limit))


def most_health_checks(limit: int, *, shared: bool) -> int:
    """The number below which the descriptor of a health check's port must be. A data plane that shares the limit may
    have taken all that is not set aside; until it has given way, they are of the reserve, half of it at most."""
    return limit - _reserve(limit) // 2 if shared else most_listening(limit)


def _reserve(limit: int) -> int:
    return RESERVE if limit >= SMALL else SMALL_RESERVE
