"""Upstream: one backend of a pool with what it takes to dial it and to remember how it fared.

Invariants: one instance per (address, port) of a pool for as long as any flow counts on it; what this worker has open
is in its column of the shared table the moment it changes.
"""

import socket
from typing import Final

from proxy.dataplane.addresses import endpoint_text
from proxy.plan.frontend import Target
from proxy.schedulers.backend import Backend
from proxy.shared_counts.column import Tally, private_tally
from proxy.shared_counts.layout import ENDPOINTS, EndpointCell

# Read with every connection; a member of an enumeration is a slower constant.
_ACTIVE: Final = int(EndpointCell.ACTIVE)
_INACTIVE: Final = int(EndpointCell.INACTIVE)
_FAILING: Final = int(EndpointCell.FAILING)
_ENDED: Final = int(EndpointCell.ENDED)

FIRST_PENALTY: Final = 1.0
LONGEST_PENALTY: Final = 30.0


def _client_ports() -> range:
    """The ports that the kernel gives to sockets that dial without one (ip_local_port_range(5))."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            first, last = map(int, file.read().split())
    except (OSError, ValueError):
        return range(65536)
    return range(first, last + 1)


CLIENT_PORTS: Final = _client_ports()


class Upstream(Backend):
    """A backend that can be dialled. `active` and `inactive` are this worker's flows and, as of the last look, those of
    the others, `active_elsewhere` and `inactive_elsewhere` of them. `lingers` is whether connections that are over
    count as inactive for a while; `lingering` are those of this worker that do. `failed_until` is monotonic seconds:
    before that, others are preferred. `identity` names it in the affinity table, 0 without affinity. `far` is how many
    dials from now its handshake is not expected to be over as soon as connect() returns. `may_be_itself` is whether a
    socket that dials it may be given its port, and so be connected to itself."""

    __slots__ = (
        "active_elsewhere",
        "failed_until",
        "failures",
        "family",
        "far",
        "identity",
        "inactive_elsewhere",
        "lingering",
        "lingers",
        "may_be_itself",
        "pod",
        "sockaddr",
        "tally",
    )

    def __init__(self, target: Target, tally: Tally | None = None) -> None:
        super().__init__(target.address, target.port, target.weight)
        self.active_elsewhere = 0
        self.inactive_elsewhere = 0
        self.lingering = 0
        self.lingers = False
        self.identity = 0
        self.far = 0
        self.may_be_itself = target.port in CLIENT_PORTS
        self.pod = target.pod
        self.family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
        self.sockaddr = (target.address, target.port)
        self.tally = tally or private_tally(ENDPOINTS)
        # The row may be that of an endpoint of the same place that failed, left, and is back before it was given up.
        self.tally.gauge(_FAILING, 0)
        self.failures = 0
        self.failed_until = 0.0

    def take(self, target: Target) -> None:
        """Adopt a newer version of the same endpoint."""
        self.weight = target.weight
        self.pod = target.pod

    def count_in(self, tally: Tally) -> None:
        """Be counted in another row from now on, flows that are open included."""
        self.tally.gauge(_ACTIVE, 0)
        self.tally.gauge(_INACTIVE, 0)
        self.tally.gauge(_FAILING, 0)
        self.tally.gauge(_ENDED, 0)
        active, inactive = self.active - self.active_elsewhere, self.inactive - self.inactive_elsewhere
        self.tally = tally
        self.active, self.active_elsewhere = active, 0
        self.inactive, self.inactive_elsewhere = inactive, 0
        tally.gauge(_ACTIVE, active)
        tally.gauge(_INACTIVE, inactive - self.lingering)
        tally.gauge(_ENDED, self.lingering)
        tally.gauge(_FAILING, int(self.failures > 0))

    def began(self) -> None:
        """A flow chose this upstream."""
        self.active += 1
        tally = self.tally
        tally.cells[tally.first + _ACTIVE] = self.active - self.active_elsewhere

    def half_closed(self) -> None:
        """One side of a connection has finished."""
        self.active = active = self.active - 1
        self.inactive = inactive = self.inactive + 1
        tally = self.tally
        cells, first = tally.cells, tally.first
        cells[first + _ACTIVE] = active - self.active_elsewhere
        cells[first + _INACTIVE] = inactive - self.inactive_elsewhere - self.lingering

    def ended(self, was_half_closed: bool = False) -> None:
        """A flow is over, or came to nothing."""
        tally = self.tally
        if was_half_closed:
            self.inactive -= 1
            tally.cells[tally.first + _INACTIVE] = self.inactive - self.inactive_elsewhere - self.lingering
        else:
            self.active -= 1
            tally.cells[tally.first + _ACTIVE] = self.active - self.active_elsewhere

    def look_elsewhere(self) -> None:
        """Bring up to date what the other workers have open."""
        tally = self.tally
        cells = tally.cells
        active = inactive = 0
        for first in tally.elsewhere:
            active += cells[first + _ACTIVE]
            inactive += cells[first + _INACTIVE] + cells[first + _ENDED]
        self.active += active - self.active_elsewhere
        self.inactive += inactive - self.inactive_elsewhere
        self.active_elsewhere, self.inactive_elsewhere = active, inactive

    @property
    def open_here(self) -> int:
        """How many flows this worker has open to it."""
        return self.active - self.active_elsewhere + self.inactive - self.inactive_elsewhere - self.lingering

    @property
    def is_counted(self) -> bool:
        """Whether this worker has any flow open to it, or counts one that is over."""
        return self.open_here > 0 or self.lingering > 0

    def linger(self, connections: int) -> None:
        """So many connections that are over count as inactive from now on; a number below 0 no longer do."""
        self.lingering += connections
        self.inactive += connections
        self.tally.gauge(_ENDED, self.lingering)

    def failed(self, now: float) -> None:
        """A connect failed: stay out of the choice for a second, twice as long each time in a row."""
        self.failed_until = now + min(LONGEST_PENALTY, FIRST_PENALTY * 2.0**self.failures)
        self.failures = min(self.failures + 1, 10)
        self.tally.counts[EndpointCell.FAILED] += 1
        self.tally.touch()
        self.tally.gauge(_FAILING, 1)

    def forgive(self) -> None:
        """It took a flow: what went before counts no more."""
        self.failures = 0
        self.tally.gauge(_FAILING, 0)

    def __str__(self) -> str:
        return endpoint_text(self.address, self.port)


class UdpUpstream(Upstream):
    """An upstream of UDP. Its flows are inactive to a scheduler, as in IPVS (net/netfilter/ipvs/ip_vs_conn.c,
    ip_vs_bind_dest), and active to people, so that the shared table has them as such."""

    __slots__ = ()

    def count_in(self, tally: Tally) -> None:
        self.tally.gauge(_ACTIVE, 0)
        self.tally.gauge(_FAILING, 0)
        self.inactive, self.inactive_elsewhere = self.inactive - self.inactive_elsewhere, 0
        self.tally = tally
        tally.gauge(_ACTIVE, self.inactive)
        tally.gauge(_FAILING, int(self.failures > 0))

    def began(self) -> None:
        self.inactive += 1
        tally = self.tally
        tally.cells[tally.first + _ACTIVE] = self.inactive - self.inactive_elsewhere

    def ended(self, was_half_closed: bool = False) -> None:
        self.inactive -= 1
        tally = self.tally
        tally.cells[tally.first + _ACTIVE] = self.inactive - self.inactive_elsewhere

    def look_elsewhere(self) -> None:
        tally = self.tally
        flows = 0
        for first in tally.elsewhere:
            flows += tally.cells[first + _ACTIVE] + tally.cells[first + _ENDED]
        self.inactive += flows - self.inactive_elsewhere
        self.inactive_elsewhere = flows
