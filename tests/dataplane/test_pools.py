"""The pools of a worker by themselves: what is left of them when they are gone."""

import gc
from collections.abc import Iterator
from random import Random

import msgspec
import pytest

from proxy.affinity import AffinityTable
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.messages import PoolMessage, pool_message
from proxy.dataplane.pools import Pools
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.resources import Resources
from proxy.plan.frontend import Pool, Target
from proxy.schedulers import registry
from proxy.shared_counts.column import Column
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger


@pytest.fixture
def pools() -> Iterator[Pools]:
    table = SharedTable.create(1)
    reactor = Reactor()
    resources = Resources(
        reactor=reactor,
        descriptors=Descriptors(100),
        affinity=AffinityTable(100),
        random=Random(1),
        most_flows=10,
        access_log=None,
        column=Column(table, 0),
    )
    yield Pools(resources)
    reactor.release()
    table.close()


def _message(scheduler: str, affinity_seconds: int, *ports: int) -> PoolMessage:
    targets = tuple(Target("127.0.0.1", port) for port in ports)
    pool = Pool("web", "default/web", "", "TCP", scheduler, "web", affinity_seconds, 5.0, 0.0, targets)
    return pool_message(pool, RowLedger().hold(pool), msgspec.msgpack.Encoder())


@pytest.mark.parametrize("affinity_seconds", [0, 60])
@pytest.mark.parametrize("scheduler", registry.names())
def test_a_pool_that_goes_leaves_nothing_to_a_collector(pools: Pools, scheduler: str, affinity_seconds: int) -> None:
    messages = [_message(scheduler, affinity_seconds, *ports) for ports in ((80, 81), (81, 82), ())]

    def live() -> None:
        for message in messages:
            pools.put(message)
            pools["web"].balancer().choose("10.0.0.1", "10.0.0.2", 0.0)
        pools.remove("web")

    live()
    gc.collect()
    gc.disable()
    try:
        live()
        assert gc.collect() == 0
    finally:
        gc.enable()
