"""What a worker tells of itself in the shared table.

Imports this room and `shared_counts`. Invariant: counters go on from what a dead predecessor left in the column.
"""

from proxy.dataplane.flow_sampler import FlowSampler
from proxy.dataplane.resources import Resources
from proxy.shared_counts.layout import WorkerCell

_AFFINITY = (
    (WorkerCell.AFFINITY_HITS, "hits"),
    (WorkerCell.AFFINITY_MISSES, "misses"),
    (WorkerCell.AFFINITY_EVICTIONS, "evictions"),
    (WorkerCell.AFFINITY_EXPIRATIONS, "expirations"),
)


class WorkerCounts:
    """Brings the worker's own row up to date."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._sampler = FlowSampler(resources)
        self._inherited = {cell: resources.column.own.counts[cell] for cell, _ in _AFFINITY}

    def write(self) -> None:
        """Write how things stand, and whatever was counted since the last time."""
        resources = self._resources
        self._sampler.look(resources.reactor.now)
        own, affinity = resources.column.own, resources.affinity.statistics()
        own.gauge(WorkerCell.CONNECTIONS, len(resources.relays))
        own.gauge(WorkerCell.FLOWS, len(resources.flows))
        own.gauge(WorkerCell.DESCRIPTORS, resources.descriptors.capacity - resources.descriptors.free)
        own.gauge(WorkerCell.DESCRIPTOR_CAPACITY, resources.descriptors.capacity)
        own.gauge(WorkerCell.AFFINITY_ENTRIES, affinity.entries)
        for cell, name in _AFFINITY:
            own.counts[cell] = self._inherited[cell] + getattr(affinity, name)
        resources.column.flush()
