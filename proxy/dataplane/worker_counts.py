"""What a worker tells of itself in the shared table.

Imports this room and `shared_counts`. Invariant: counters go on from what a dead predecessor left in the column.
"""

from collections.abc import Iterator

from proxy.dataplane.flow_accounts import Flow
from proxy.dataplane.resources import Resources
from proxy.dataplane.udp_flow import UdpFlow
from proxy.shared_counts.layout import WorkerCell

_AFFINITY = (
    (WorkerCell.AFFINITY_HITS, "hits"),
    (WorkerCell.AFFINITY_MISSES, "misses"),
    (WorkerCell.AFFINITY_EVICTIONS, "evictions"),
    (WorkerCell.AFFINITY_EXPIRATIONS, "expirations"),
)


_SAMPLE_INTERVAL = 1.0
"""Seconds between two looks at what open flows have carried."""


class WorkerCounts:
    """Brings the worker's own row up to date."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._sampled = 0.0
        self._inherited = {cell: resources.column.own.counts[cell] for cell, _ in _AFFINITY}

    def write(self) -> None:
        """Write how things stand, and whatever was counted since the last time."""
        resources = self._resources
        now = resources.reactor.now
        if now - self._sampled >= _SAMPLE_INTERVAL:
            self._sampled = now
            resources.accounts.sample(_open_flows(resources), now)
        own, affinity = resources.column.own, resources.affinity.statistics()
        own.gauge(WorkerCell.CONNECTIONS, len(resources.relays))
        own.gauge(WorkerCell.FLOWS, len(resources.flows))
        own.gauge(WorkerCell.DESCRIPTORS, resources.descriptors.capacity - resources.descriptors.free)
        own.gauge(WorkerCell.DESCRIPTOR_CAPACITY, resources.descriptors.capacity)
        own.gauge(WorkerCell.AFFINITY_ENTRIES, affinity.entries)
        for cell, name in _AFFINITY:
            own.counts[cell] = self._inherited[cell] + getattr(affinity, name)
        resources.column.flush()


def _open_flows(resources: Resources) -> Iterator[Flow]:
    yield from resources.relays
    for flow in resources.flows:
        assert isinstance(flow, UdpFlow)
        yield flow
