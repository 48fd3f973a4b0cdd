"""The vocabulary of paths: their names, and what a kernel path must be able to do.

Invariant: pure; a kernel path never needs to know which other paths there are.
"""

import enum
from typing import Protocol

from proxy.plan.frontend import Delta, Frontend, Pool


class Path(enum.StrEnum):
    """How a packet gets from a frontend to an endpoint. RELAY is the workers' userspace relay, which serves everybody.
    SHORTCUT translates the address inside `connect()` of a local client. NFTABLES and IPVS translate packets."""

    RELAY = "relay"
    SHORTCUT = "shortcut"
    NFTABLES = "nftables"
    IPVS = "ipvs"


class KernelPath(Protocol):
    """A way through the kernel beside the relay. It is told every Delta after the listeners are in force."""

    @property
    def path(self) -> Path: ...

    def apply(self, delta: Delta) -> None:
        """Take a plan's delta over. Raises nothing: what fails goes to the relay, and `refusal` says so."""

    def refusal(self, frontend: Frontend, pool: Pool) -> str:
        """Why this path does not serve the frontend, in words, or an empty string where it does."""

    def tend(self) -> None:
        """Do what is due. Called several times a second."""

    def close(self) -> None:
        """Stop serving. Established connections go on as far as the kernel lets them."""


def relay_only(pool: Pool) -> str:
    """Why the Service itself keeps a pool from every kernel path, in words, or an empty string.

    A Service asks for the relay by the annotation svcproxy.io/path, or by asking for what only the relay has.
    """
    if pool.path == Path.RELAY:
        return "the annotation svcproxy.io/path asks for the relay"
    if pool.needs:
        return f"only the relay has what the Service asks for: {', '.join(pool.needs)}"
    return ""
