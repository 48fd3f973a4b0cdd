"""What each cell of the table means.

Imports nothing of ours. A row of a region has one block of `width` cells for every column; a cell is a signed 64-bit
integer. Invariant: the first `gauges` cells of a block are gauges: written the moment they change, and worth nothing
once their worker is gone; the others are counters: they only grow, and outlive their worker. A cell's number is in no
message and on no disk, so a new one may go anywhere.
"""

from enum import IntEnum
from typing import NamedTuple


class Region(NamedTuple):
    """A part of the table: so many rows of so many cells a column, the first of which are gauges."""

    name: str
    rows: int
    width: int
    gauges: int


class WorkerCell(IntEnum):
    """The one row in which a worker tells of itself."""

    PROCESS_ID = 0
    CONNECTIONS = 1
    """TCP connections open, those still dialling included."""
    FLOWS = 2
    """UDP flows open."""
    DESCRIPTORS = 3
    """File descriptors that the data plane holds."""
    DESCRIPTOR_CAPACITY = 4
    """File descriptors that the data plane may hold."""
    AFFINITY_ENTRIES = 5
    APPLIED = 6
    """The number of the last message that was applied in full."""

    FLUSHES = 32
    """How often the counters were written."""
    AFFINITY_HITS = 33
    AFFINITY_MISSES = 34
    AFFINITY_EVICTIONS = 35
    AFFINITY_EXPIRATIONS = 36


class PoolCell(IntEnum):
    """One pool: the endpoints of one Service port in one family."""


class EndpointCell(IntEnum):
    """One endpoint of one pool."""

    ACTIVE = 0
    """Flows that no side has ended, UDP flows included; counted from the choice, before the dial."""
    INACTIVE = 1
    """Connections half closed."""
    FAILING = 2
    """1 while the endpoint is avoided because it refused of late."""

    OPENED = 4
    """Flows that the endpoint took."""
    FAILED = 5
    """Flows that it did not take."""


WORKERS = Region("workers", rows=1, width=64, gauges=32)
POOLS = Region("pools", rows=1 << 17, width=128, gauges=8)
ENDPOINTS = Region("endpoints", rows=1 << 20, width=16, gauges=4)
REGIONS = (WORKERS, POOLS, ENDPOINTS)
