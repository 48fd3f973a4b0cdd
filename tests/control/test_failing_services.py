"""Services whose endpoints all refuse: what is said of them, and until when."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from proxy.control.failing_services import FailingServices
from proxy.dataplane.close_reason import CloseReason
from proxy.inspection.count_reader import CountReader
from proxy.plan.frontend import Pool, Target
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell, PoolCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger
from tests.finished import finished

TARGETS = (Target("10.0.0.1", 80), Target("10.0.0.2", 80))
WEB = Pool("default/web:/TCP/IPv4", "default/web", "", "TCP", "rr", "default/web:/TCP/IPv4", 0, 5.0, 0.0, TARGETS)


class Scene:
    """Some pools, and what two workers count of them; `said` is how often something changed."""

    def __init__(self) -> None:
        self.table = SharedTable.create(2)
        self.ledger = RowLedger()
        self.pools: dict[str, Pool] = {}
        self.said = 0
        reader = CountReader(self.table, self.ledger)
        self.failing = FailingServices(self.pools, reader, self.table, self.ledger, self._changed)

    def _changed(self) -> None:
        self.said += 1

    def put(self, pool: Pool) -> Pool:
        self.pools[pool.key] = pool
        self.ledger.hold(pool)
        return pool

    def count(self, pool: Pool, cell: EndpointCell, worker: int = 0, place: int | None = None) -> None:
        for number, row in enumerate(self.ledger.endpoint_rows(pool.key)):
            if place in (None, number):
                self.table.cells[self.table.first_cell(ENDPOINTS, row, worker) + cell] += 1

    def fail(self, pool: Pool, reason: CloseReason) -> None:
        rows = self.ledger.rows_of(pool.key)
        assert rows is not None
        self.table.cells[self.table.first_cell(POOLS, rows.pool) + PoolCell.FAILED + reason.number] += 1
        self.count(pool, EndpointCell.FAILED)

    def look(self) -> list[str]:
        finished(self.failing.look())
        return [str(problem) for problem in self.failing.problems()]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.table.close()


def test_a_service_fails_until_a_connect_succeeds_in_whatever_worker(scene: Scene) -> None:
    scene.put(WEB)
    assert scene.look() == []
    scene.fail(WEB, CloseReason.CONNECT_REFUSED)
    line = "2 of 2 endpoints refuse connections: check targetPort"
    assert scene.look() == [f"Service default/web: {line}"]
    assert (scene.failing.of("default/web"), scene.failing.of("default/other"), len(scene.failing)) == ((line,), (), 1)
    assert [problem.reason for problem in scene.failing.problems()] == ["EndpointsRefuse"]
    assert len(scene.look()) == scene.said == 1
    scene.count(WEB, EndpointCell.OPENED, worker=1, place=1)
    assert scene.look() == []
    assert (scene.said, len(scene.failing)) == (2, 0)


def test_silence_is_told_from_refusal(scene: Scene) -> None:
    scene.put(WEB)
    scene.fail(WEB, CloseReason.CONNECT_TIMEOUT)
    assert scene.look() == [
        "Service default/web: 2 of 2 endpoints do not answer: check targetPort and network policies"
    ]
    scene.fail(WEB, CloseReason.CONNECT_REFUSED)
    assert scene.look() == ["Service default/web: 2 of 2 endpoints refuse connections: check targetPort"]


def test_each_port_is_told_once_whatever_pools_it_has(scene: Scene) -> None:
    dns = replace(WEB, key="default/web:dns/UDP/IPv4", port_name="dns", protocol="UDP", affinity_key="dns")
    v6 = replace(WEB, key="default/web:/TCP/IPv6", affinity_key="default/web:/TCP/IPv6")
    local = replace(WEB, key=f"{WEB.key}/local", targets=TARGETS[:1])
    for pool in (WEB, v6, local, dns):
        scene.fail(scene.put(pool), CloseReason.CONNECT_REFUSED)
    assert scene.look() == [
        "Service default/web: 2 of 2 endpoints refuse connections: check targetPort",
        "Service default/web: port dns: 2 of 2 endpoints refuse datagrams: check targetPort",
    ]


def test_a_service_that_goes_fails_no_more(scene: Scene) -> None:
    scene.fail(scene.put(WEB), CloseReason.CONNECT_REFUSED)
    assert len(scene.look()) == 1
    scene.ledger.drop(WEB.key)
    del scene.pools[WEB.key]
    assert scene.look() == []
    assert scene.said == 2
