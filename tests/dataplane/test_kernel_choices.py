"""Balancers choose as the kernel's IPVS did, on their own counts of what is open and what is over."""

from random import Random

import pytest

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.ended_connections import EndedConnections
from proxy.dataplane.flow_accounts import FlowAccounts
from proxy.dataplane.messages import PoolRows
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Pool, Target
from proxy.shared_counts.column import Column
from proxy.shared_counts.table import SharedTable
from tests.schedulers.kernel_choices import Event, Recording, recordings

EACH_WORKER_HAS_ITS_OWN_TURN = ("rr", "wrr", "lblc", "lblcr")


class Connection:
    """An open connection, as the accounts see it."""

    used = 0.0
    carried = (0, 0)

    def __init__(self, balancer: Balancer, upstream: Upstream) -> None:
        self.balancer = balancer
        self.upstream = upstream
        self.is_half_closed = False


class Worker:
    """One worker's part."""

    def __init__(self, pool: Pool, column: Column) -> None:
        self.balancer = Balancer(pool, None, Random(1), PoolRows(pool=1, endpoints=()), column)
        self.accounts = FlowAccounts(EndedConnections(lambda: 0.0))

    def half_close(self, connection: Connection) -> None:
        connection.upstream.half_closed()
        connection.is_half_closed = True

    def close(self, connection: Connection, reason: CloseReason) -> None:
        connection.upstream.ended(connection.is_half_closed)
        self.accounts.closed(connection, connection.upstream, reason, (0, 0), 0.1)


class Machine:
    """Workers with one table of counts, which take the clients in turn."""

    def __init__(self, recording: Recording, workers: int) -> None:
        self.recording = recording
        self.weights: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.open: dict[int, tuple[Worker, Connection]] = {}
        table = SharedTable.create(workers)
        self.workers = [Worker(self.pool(), Column(table, number)) for number in range(workers)]

    def pool(self) -> Pool:
        places = [(server.rpartition(":"), weight) for server, weight in self.weights.items()]
        return Pool(
            key="web",
            service="default/web",
            port_name="",
            protocol=self.recording.protocol,
            scheduler=self.recording.scheduler,
            affinity_key="web",
            affinity_seconds=0,
            connect_timeout=5.0,
            idle_timeout=0.0,
            targets=tuple(Target(host.strip("[]"), int(port), weight) for (host, _, port), weight in places),
        )

    def play(self) -> list[tuple[str | None, str | None]]:
        """What the kernel chose and what these did, connection by connection."""
        chosen = []
        for number, event in enumerate(self.recording.events):
            if event.server:
                self.change(event)
            elif event.do == "connect":
                chosen.append((event.got, self.connect(number, event)))
            else:
                worker, connection = self.open[event.connect]
                if event.do == "half_close":
                    worker.half_close(connection)
                else:
                    worker.close(
                        connection, CloseReason.CLIENT_CLOSED if event.do == "close" else CloseReason.CLIENT_RESET
                    )
        return chosen

    def change(self, event: Event) -> None:
        if event.do == "remove":
            del self.weights[event.server]
        else:
            self.weights[event.server] = event.weight
            self.rows.setdefault(event.server, 1 + len(self.rows))
        rows = PoolRows(pool=1, endpoints=tuple(self.rows[server] for server in self.weights))
        for worker in self.workers:
            worker.balancer.update(self.pool(), None, rows)

    def connect(self, number: int, event: Event) -> str | None:
        worker = self.workers[number % len(self.workers)]
        upstream = worker.balancer.choose(event.client, event.asked, 0.0)
        if upstream is None:
            return None
        self.open[number] = worker, Connection(worker.balancer, upstream)
        return str(upstream)


def differing(recording: Recording, workers: int) -> list[tuple[str | None, str | None]]:
    # Where the kernel's sh and mh refuse the clients of a drained server, the proxy finds them another one.
    return [(got, ours) for got, ours in Machine(recording, workers).play() if got not in (None, ours)]


@pytest.mark.parametrize(
    "recording",
    [each for each in recordings() if not (each.scheduler in ("lblc", "lblcr") and each.has_a_return)],
    ids=lambda recording: recording.name,
)
def test_one_worker_chooses_as_the_kernel_did(recording: Recording) -> None:
    assert differing(recording, 1) == []


@pytest.mark.parametrize(
    "recording",
    [each for each in recordings() if each.scheduler not in EACH_WORKER_HAS_ITS_OWN_TURN],
    ids=lambda recording: recording.name,
)
def test_two_workers_choose_as_the_kernel_did(recording: Recording) -> None:
    assert differing(recording, 2) == []
