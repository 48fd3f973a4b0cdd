"""From the shared table to what each Service port has carried."""

from collections import Counter
from collections.abc import Iterator

import pytest

from proxy.capture.drop_ledger import DropLedger
from proxy.capture.drop_meter import DropCause
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.messages import PoolRows
from proxy.inspection.traffic_reader import read_traffic
from proxy.plan.frontend import Frontend, FrontendKey, Pool, Target
from proxy.reports.traffic_report import PortTraffic
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell, PoolCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLease, RowLedger

A, B = Target("10.0.0.1", 80, pod="web-a"), Target("10.0.0.2", 80, pod="web-b")


class Counted:
    """Two workers' table, a ledger, and the pools of a plan."""

    def __init__(self) -> None:
        self.table = SharedTable.create(2)
        self.ledger = RowLedger()
        self.drops = DropLedger()
        self.columns = [Column(self.table, number) for number in range(2)]
        self.pools: dict[str, Pool] = {}

    def pool(self, key: str, *targets: Target, service: str = "shop/web") -> PoolRows:
        pool = Pool(key, service, "http", "TCP", "rr", key, 0, 5.0, 0.0, targets)
        self.pools[key] = pool
        return self.ledger.hold(pool)

    def count(self, worker: int, row: int, cell: PoolCell, number: int) -> None:
        tally = self.columns[worker].tally(POOLS, row)
        tally.counts[cell] += number
        tally.touch()
        self.columns[worker].flush()

    def active(self, worker: int, row: int, number: int) -> None:
        self.columns[worker].tally(ENDPOINTS, row).gauge(EndpointCell.ACTIVE, number)

    def read(self, *, per_endpoint: bool = False) -> list[PortTraffic]:
        traffic = read_traffic(self.pools, self.table, self.ledger, self.drops, per_endpoint=per_endpoint)
        return [port for port in traffic.ports if port is not None]


@pytest.fixture
def counted() -> Iterator[Counted]:
    counted = Counted()
    yield counted
    counted.table.close()


def test_the_workers_and_the_pools_of_one_port_are_added_up(counted: Counted) -> None:
    four = counted.pool("shop/web:http/TCP/IPv4", A, B)
    local = counted.pool("shop/web:http/TCP/IPv4/local", A)
    counted.count(0, four.pool, PoolCell.OPENED, 3)
    counted.count(1, four.pool, PoolCell.OPENED, 4)
    counted.count(1, local.pool, PoolCell.OPENED, 5)
    counted.active(0, four.endpoints[0], 1)
    counted.active(1, four.endpoints[1], 1)
    counted.active(1, local.endpoints[0], 1)
    (port,) = counted.read(per_endpoint=True)
    assert (port.namespace, port.service, port.port, port.protocol) == ("shop", "web", "http", "TCP")
    assert (port.open, port.cells[PoolCell.OPENED]) == (3, 12)
    assert [(each.endpoint, each.pod, each.cells[EndpointCell.ACTIVE]) for each in port.endpoints] == [
        ("10.0.0.1:80", "web-a", 2),
        ("10.0.0.2:80", "web-b", 1),
    ]


def test_the_counters_of_a_port_do_not_go_back_with_one_of_its_pools(counted: Counted) -> None:
    local, cluster = "shop/web:http/TCP/IPv4/local", "shop/web:http/TCP/IPv4"
    rows = counted.pool(local, A)
    counted.count(0, rows.pool, PoolCell.OPENED, 5)
    counted.active(1, rows.endpoints[0], 2)
    counted.pool(cluster, A)

    def told() -> list[tuple[int, int]]:
        return [(port.cells[PoolCell.OPENED], port.open) for port in counted.read()]

    assert told() == [(5, 2)]
    counted.ledger.drop(local)
    del counted.pools[local]
    assert told() == [(5, 2)]
    counted.count(0, rows.pool, PoolCell.OPENED, 1)
    assert told() == [(6, 2)]
    counted.active(1, rows.endpoints[0], 0)
    for lease in (RowLease(ENDPOINTS, rows.endpoints[0]), RowLease(POOLS, rows.pool)):
        assert counted.ledger.retire(lease)
        cells = counted.table.totals(lease.region, lease.row)
        counted.table.wipe(lease.region, lease.row)
        counted.ledger.release(lease, cells)
        assert told() == [(6, 0)]
    counted.ledger.drop(cluster)
    del counted.pools[cluster]
    assert told() == []


def test_pools_of_one_port_need_not_have_come_together(counted: Counted) -> None:
    for key, service in (("a/4", "shop/a"), ("b/4", "shop/b"), ("a/6", "shop/a")):
        rows = counted.pool(key, A, service=service)
        counted.count(0, rows.pool, PoolCell.OPENED, 1)
        counted.active(0, rows.endpoints[0], 2)
    found = [(port.service, port.cells[PoolCell.OPENED], port.open) for port in counted.read()]
    assert found == [("a", 2, 4), ("b", 1, 2)]


def test_others_have_their_turn_while_it_is_found_out_what_there_is(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.inspection.traffic_reader._AT_ONCE", 2)
    keys = [f"shop/web-{number}" for number in range(5)]
    for key in keys:
        counted.count(0, counted.pool(key, A, service=key).pool, PoolCell.OPENED, 1)
    ports = iter(read_traffic(counted.pools, counted.table, counted.ledger, counted.drops).ports)
    assert next(ports) is None
    # What comes and goes meanwhile does no harm.
    counted.pool("shop/new", A, service="shop/new")
    del counted.pools[keys[4]]
    counted.ledger.drop(keys[4])
    told = list(ports)
    assert told.count(None) == 2
    assert [port.service for port in told if port is not None] == ["web-0", "web-1", "web-2", "web-3"]


def test_endpoints_are_told_only_where_that_is_asked(counted: Counted) -> None:
    rows = counted.pool("shop/web:http/TCP/IPv4", A)
    counted.count(0, rows.pool, PoolCell.OPENED, 1)
    (port,) = counted.read()
    assert port.endpoints == ()


def test_flows_to_an_endpoint_that_left_are_still_open(counted: Counted) -> None:
    rows = counted.pool("shop/web:http/TCP/IPv4", A, B)
    counted.count(0, rows.pool, PoolCell.OPENED, 1)
    counted.active(0, rows.endpoints[1], 7)
    counted.pool("shop/web:http/TCP/IPv4", A)
    (port,) = counted.read()
    assert port.open == 7


class Silent:
    """A frontend that dropped so many packets for want of a local endpoint."""

    sockets = ()
    fault = None
    drops = True

    def __init__(self, dropped: int) -> None:
        self.dropped = dropped

    def take_drops(self) -> Counter[DropCause]:
        taken, self.dropped = self.dropped, 0
        return Counter({DropCause.NO_LOCAL_ENDPOINTS: taken})

    def settle(self, frontend: Frontend, pool: Pool) -> None: ...

    def leave(self) -> None: ...

    def close(self) -> None: ...


def test_what_was_dropped_is_told_where_nothing_ever_passed(counted: Counted) -> None:
    for number, key in enumerate(("shop/web:http/TCP/IPv4/local", "shop/web:http/TCP/IPv6/local")):
        counted.pool(key, A)
        counted.drops.follow(key, FrontendKey("TCP", "127.0.0.1", number), Silent(3))
    counted.drops.follow("of a pool that is gone", FrontendKey("TCP", "127.0.0.1", 9), Silent(5))
    (port,) = counted.read()
    assert port.dropped == {"no_local_endpoints": 6}
    assert not any(port.cells)


def test_every_close_reason_has_its_label(counted: Counted) -> None:
    traffic = read_traffic({}, counted.table, counted.ledger, counted.drops)
    assert traffic.reasons == tuple(reason.value for reason in CloseReason)
    assert max(reason.number for reason in CloseReason) < PoolCell.CLOSED - PoolCell.FAILED
    assert PoolCell.CLOSED + len(CloseReason) <= POOLS.width
