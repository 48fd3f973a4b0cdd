"""Upstream: one backend of a pool with what it takes to dial it and to remember how it fared.

Imports `schedulers.backend`, `plan.frontend` and this room's addresses. Invariant: one instance per (address, port)
of a pool for as long as any flow counts on it.
"""

import socket

from proxy.dataplane.addresses import endpoint_text
from proxy.plan.frontend import Target
from proxy.schedulers.backend import Backend

FIRST_PENALTY = 1.0
LONGEST_PENALTY = 30.0


class Upstream(Backend):
    """A backend that can be dialled. `failed_until` is monotonic seconds: before that, others are preferred.
    `identity` names it in the affinity table, 0 without affinity."""

    __slots__ = ("failed_until", "failures", "family", "identity", "pod", "sockaddr")

    def __init__(self, target: Target) -> None:
        super().__init__(target.address, target.port, target.weight)
        self.identity = 0
        self.pod = target.pod
        self.family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
        self.sockaddr = (target.address, target.port)
        self.failures = 0
        self.failed_until = 0.0

    def take(self, target: Target) -> None:
        """Adopt a newer version of the same endpoint."""
        self.weight = target.weight
        self.pod = target.pod

    def failed(self, now: float) -> None:
        """A connect failed: stay out of the choice for a second, twice as long each time in a row."""
        self.failed_until = now + min(LONGEST_PENALTY, FIRST_PENALTY * 2.0**self.failures)
        self.failures = min(self.failures + 1, 10)

    def __str__(self) -> str:
        return endpoint_text(self.address, self.port)
