"""How many file descriptors the process may open, and what they are for.

Imports the HTTP servers' bounds. Invariant: what the control process needs for itself (health, admin, the embedded API,
files it reads) is set aside before the data plane gets any.
"""

import os
import resource

import msgspec

from proxy.serving.bounded_connections import USUAL_BOUNDS, HTTPBounds, descriptors_of

RESERVE = 192
"""Descriptors that stay free for the control process: its files, and who reads health, metrics and the page."""
SMALL_RESERVE = 28
"""The same where there are less than `SMALL` of them."""
SMALL = 1024
LISTENING_SHARE = 0.9
"""Of all descriptors, so many may be listening sockets and what was open before them."""
API_SHARE = 1 / 16
"""Of all descriptors, the connections of an embedded API."""
_FEWEST_OF_API = 4


class DescriptorBudget(msgspec.Struct, frozen=True):
    """`limit` is how many a process may open. Of these `reserve` are the control process's, and of those the HTTP
    servers have connections within the `bounds`."""

    limit: int
    reserve: int
    bounds: HTTPBounds

    def data_plane(self) -> int:
        """What is left after the descriptors that are open now and the reserve; at least two."""
        return max(2, self.limit - len(os.listdir("/proc/self/fd")) - self.reserve)

    @property
    def listening(self) -> int:
        """The number below which a listening socket's descriptor must be."""
        return min(int(self.limit * LISTENING_SHARE), self.limit - self.reserve)

    def health_checks(self, *, shared: bool) -> int:
        """The number below which the descriptor of a health check's port must be. A data plane that shares the limit
        may have taken all that is not set aside; until it has given way, they are of the reserve, half at most."""
        return self.limit - self.reserve // 2 if shared else self.listening


def raise_limit() -> int:
    """Raise the soft limit to the hard one, which needs no privilege; gives the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30


def descriptor_budget(limit: int, *, standalone: bool = False) -> DescriptorBudget:
    """What becomes of so many descriptors; a `standalone` proxy has an API with clients of its own."""
    is_small = limit < SMALL
    api = max(_FEWEST_OF_API, min(USUAL_BOUNDS.api, int(limit * API_SHARE))) if standalone else 0
    bounds = HTTPBounds(health=2, admin=6, api=api) if is_small else USUAL_BOUNDS._replace(api=api)
    reserve = SMALL_RESERVE if is_small else RESERVE
    return DescriptorBudget(limit, reserve + (descriptors_of(api) if standalone else 0), bounds)
