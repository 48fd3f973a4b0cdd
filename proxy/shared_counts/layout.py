"""What each cell of the table means.

A row of a region has one block of `width` cells for every column; a cell is a signed 64-bit integer. Invariant: the
first `gauges` cells of a block are gauges: written the moment they change, and worth nothing once their worker is gone;
the others are counters: they only grow, and outlive their worker. A cell's number is in no message and on no disk, so a
new one may go anywhere.
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
    BUFFERED_BYTES = 6
    """Bytes held for readers that are slower than their writers."""
    BUFFER_CAPACITY = 7
    """Bytes that may be held for them."""

    FLUSHES = 32
    """How often the counters were written: a worker that is alive and not stuck does so four times a second."""
    AFFINITY_HITS = 33
    AFFINITY_MISSES = 34
    AFFINITY_EVICTIONS = 35
    AFFINITY_EXPIRATIONS = 36
    LAG_MICROSECONDS = 37
    """How late the ticks came that `LAG_BUCKETS` counts, all together."""
    ACCESS_LINES_DROPPED = 38
    """Lines of the access log that were lost because nobody took them."""
    LOG_LINES_DROPPED = 39
    """The same of the log."""
    LAG_BUCKETS = 40
    """The first of a cell for each of LAG_BOUNDS, and one for what came later."""


class PoolCell(IntEnum):
    """One pool: the endpoints of one Service port in one family. A flow is a TCP connection or a UDP flow."""

    USED = 0
    """1 once a client came: what no worker has used has no balancer and counts nothing."""

    OPENED = 8
    """Flows that an endpoint took."""
    RETRIES = 9
    """Endpoints that were tried after another did not answer the same client."""
    EJECTIONS = 10
    """Endpoints that were set aside because they did not answer."""
    RECEIVED_BYTES = 11
    """From clients, delivered to endpoints."""
    SENT_BYTES = 12
    """From endpoints, delivered to clients."""
    RECEIVED_DATAGRAMS = 13
    SENT_DATAGRAMS = 14
    AFFINITY_HITS = 15
    """Flows that went where their client went before."""
    AFFINITY_MISSES = 16
    """Flows whose client was not remembered, or whose endpoint could not be taken again."""
    CONNECT_MICROSECONDS = 17
    """How long the connects took that `CONNECT_BUCKETS` counts, all together."""
    DURATION_MILLISECONDS = 18
    """How long the flows lived that `DURATION_BUCKETS` counts, all together."""
    AFFINITY_EVICTIONS = 19
    """Clients that were forgotten to make room for others."""

    CONNECT_BUCKETS = 20
    """The first of a cell for each of CONNECT_BOUNDS, and one for what took longer."""
    DURATION_BUCKETS = 40
    """The first of a cell for each of DURATION_BOUNDS, and one for what lived longer."""
    FAILED = 56
    """The first of a cell for each close reason: flows that no endpoint took."""
    CLOSED = 88
    """The first of a cell for each close reason: flows that an endpoint took, and that are over."""


CONNECT_BOUNDS: tuple[float, ...] = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
)
"""Seconds; upper bounds of the buckets that count how long a connect took."""
DURATION_BOUNDS: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0)
"""Seconds; upper bounds of the buckets that count how long a flow lived."""


LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds; upper bounds of the buckets that count how late a worker's tick came."""


class EndpointCell(IntEnum):
    """One endpoint of one pool."""

    ACTIVE = 0
    """Flows that no side has ended, UDP flows included; counted from the choice, before the dial."""
    INACTIVE = 1
    """Connections half closed."""
    FAILING = 2
    """1 while the endpoint is avoided because it refused of late."""
    ENDED = 3
    """Connections that are over and that a scheduler counts as inactive for a while still."""

    OPENED = 4
    """Flows that the endpoint took."""
    FAILED = 5
    """Flows that it did not take."""
    RECEIVED_BYTES = 6
    """From clients, delivered to it."""
    SENT_BYTES = 7
    """From it, delivered to clients."""


WORKERS = Region("workers", rows=1, width=64, gauges=32)
POOLS = Region("pools", rows=1 << 17, width=128, gauges=8)
ENDPOINTS = Region("endpoints", rows=1 << 20, width=16, gauges=4)
REGIONS = (WORKERS, POOLS, ENDPOINTS)
