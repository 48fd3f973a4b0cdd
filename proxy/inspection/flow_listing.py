"""What workers answer about their flows, put together for the admin API.

Invariant: rows keep the order of their worker, and one that was
left out anywhere makes the whole incomplete.
"""

from collections.abc import Mapping

from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.question import AffinityRow, AffinityRows, Answer, Connections
from proxy.reports.flow_report import AffinityAnswer, AffinityReport, ConnectionReport, ConnectionsAnswer


def connections_of(answers: Mapping[int, Answer], most: int) -> ConnectionsAnswer:
    """The newest connections of all workers, which are the keys."""
    lists = {worker: answer for worker, answer in answers.items() if isinstance(answer, Connections)}
    found = [_connection(row, worker) for worker, each in lists.items() for row in each.rows]
    found.sort(key=lambda connection: connection.seconds)
    complete = len(found) <= most and all(each.complete for each in lists.values())
    return ConnectionsAnswer(tuple(found[:most]), complete)


def affinity_of(answers: Mapping[int, Answer], most: int) -> AffinityAnswer:
    """The affinity entries of all workers, which are the keys; those used last first."""
    lists = {worker: answer for worker, answer in answers.items() if isinstance(answer, AffinityRows)}
    found = [_entry(row, worker) for worker, each in lists.items() for row in each.rows]
    complete = len(found) <= most and all(each.complete for each in lists.values())
    return AffinityAnswer(tuple(found[:most]), complete)


def _connection(row: FlowRecord, worker: int) -> ConnectionReport:
    return ConnectionReport(
        protocol=row.frontend.rpartition("/")[2],
        client=row.client,
        service=row.service,
        frontend=row.frontend,
        endpoint=row.endpoint,
        pod=row.pod,
        worker=worker,
        received=row.received,
        sent=row.sent,
        connect_seconds=row.connect_seconds,
        seconds=row.seconds,
        namespace=_namespace(row.service),
    )


def _entry(row: AffinityRow, worker: int) -> AffinityReport:
    namespace = _namespace(row.service)
    return AffinityReport(row.client, row.service, row.port, row.endpoint, row.pod, worker, row.seconds_left, namespace)


def _namespace(service: str) -> str:
    return service.partition("/")[0]
