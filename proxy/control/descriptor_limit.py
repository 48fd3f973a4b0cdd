"""How many file descriptors the process may open, and how many of them are the data plane's.

Imports nothing of ours. Invariant: what the control process needs for itself (health, admin, files it reads) is set
aside before the data plane gets any.
"""

import os
import resource

RESERVE = 64
"""Descriptors that stay free for the control process: its files, and who reads health, metrics and the page."""
SMALL_RESERVE = 16
"""The same where there are less than `SMALL` of them."""
SMALL = 1024


def raise_limit() -> int:
    """Raise the soft limit to the hard one, which needs no privilege; gives the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30


def data_plane_share(limit: int) -> int:
    """What is left of `limit` after the descriptors that are open now and the reserve; at least two."""
    return max(2, limit - len(os.listdir("/proc/self/fd")) - (RESERVE if limit >= SMALL else SMALL_RESERVE))
