"""What a worker tells of itself in the shared table.

Invariant: counters go on from what a dead predecessor left in the column.
"""

from bisect import bisect_left

from proxy import logs
from proxy.dataplane.flow_sampler import FlowSampler
from proxy.dataplane.resources import Resources
from proxy.shared_counts.layout import LAG_BOUNDS, WorkerCell

_AFFINITY = (
    (WorkerCell.AFFINITY_HITS, "hits"),
    (WorkerCell.AFFINITY_MISSES, "misses"),
    (WorkerCell.AFFINITY_EVICTIONS, "evictions"),
    (WorkerCell.AFFINITY_EXPIRATIONS, "expirations"),
)

_DROPPED = (WorkerCell.ACCESS_LINES_DROPPED, WorkerCell.LOG_LINES_DROPPED)


class WorkerCounts:
    """Brings the worker's own row up to date."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._sampler = FlowSampler(resources)
        inherited = (*(cell for cell, _ in _AFFINITY), *_DROPPED)
        self._inherited = {cell: resources.column.own.counts[cell] for cell in inherited}

    def came_late(self, seconds: float) -> None:
        """The tick came so long after its time."""
        counts = self._resources.column.own.counts
        counts[WorkerCell.LAG_BUCKETS + bisect_left(LAG_BOUNDS, seconds)] += 1
        counts[WorkerCell.LAG_MICROSECONDS] += int(seconds * 1e6)

    def write(self) -> None:
        """Write how things stand, and whatever was counted since the last time."""
        resources = self._resources
        self._sampler.look(resources.reactor.now)
        resources.accounts.settle()
        own, affinity = resources.column.own, resources.affinity.statistics()
        own.gauge(WorkerCell.CONNECTIONS, len(resources.relays))
        own.gauge(WorkerCell.FLOWS, len(resources.flows))
        own.gauge(WorkerCell.DESCRIPTORS, resources.descriptors.capacity - resources.descriptors.free)
        own.gauge(WorkerCell.DESCRIPTOR_CAPACITY, resources.descriptors.capacity)
        own.gauge(WorkerCell.AFFINITY_ENTRIES, affinity.entries)
        own.gauge(WorkerCell.BUFFERED_BYTES, resources.buffers.held)
        own.gauge(WorkerCell.BUFFER_CAPACITY, resources.buffers.capacity)
        for cell, name in _AFFINITY:
            self._set(cell, getattr(affinity, name))
        self._set(WorkerCell.LOG_LINES_DROPPED, logs.dropped_lines())
        if resources.access_log is not None:
            self._set(WorkerCell.ACCESS_LINES_DROPPED, resources.access_log.dropped)
        resources.column.flush()

    def _set(self, cell: WorkerCell, count: int) -> None:
        self._resources.column.own.counts[cell] = self._inherited[cell] + count
