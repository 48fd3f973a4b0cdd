"""The lists of several workers as one."""

from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.question import AffinityRow, AffinityRows, Answer, Connections
from proxy.inspection.flow_listing import affinity_of, connections_of
from proxy.reports.flow_report import AffinityReport, ConnectionReport


def record(client: str, seconds: float) -> FlowRecord:
    return FlowRecord(client, "default/web", "127.96.0.1:53/UDP", "10.0.0.1:53", "web-1", 1, 2, 0.5, seconds)


def test_connections_of_all_workers_come_the_newest_first() -> None:
    answers: dict[int, Answer] = {
        0: Connections((record("a", 1.0), record("b", 3.0)), complete=True),
        1: Connections((record("c", 2.0),), complete=True),
    }
    found = connections_of(answers, 10)
    assert found.complete
    assert [(each.client, each.worker) for each in found.connections] == [("a", 0), ("c", 1), ("b", 0)]
    assert found.connections[0] == ConnectionReport(
        "UDP", "a", "default/web", "127.96.0.1:53/UDP", "10.0.0.1:53", "web-1", 0, 1, 2, 0.5, 1.0, "default"
    )


def test_what_one_worker_leaves_out_or_the_sum_does_is_admitted() -> None:
    row = record("a", 1.0)
    assert not connections_of({0: Connections((row,), False), 1: Connections((), True)}, 9).complete
    both: dict[int, Answer] = {number: Connections((row,), True) for number in range(2)}
    assert len(connections_of(both, 1).connections) == 1
    assert not connections_of(both, 1).complete
    assert connections_of(both, 2).complete


def test_affinity_entries_name_their_worker() -> None:
    row = AffinityRow("10.0.0.7", "default/web", "http/TCP", "10.0.0.1:80", "web-1", 7.5)
    answers: dict[int, Answer] = {3: AffinityRows((row,), True)}
    report = AffinityReport("10.0.0.7", "default/web", "http/TCP", "10.0.0.1:80", "web-1", 3, 7.5, "default")
    assert affinity_of(answers, 1).affinity == (report,)
    assert affinity_of(answers, 1).complete
    assert not affinity_of({0: AffinityRows((row, row), True)}, 1).complete
