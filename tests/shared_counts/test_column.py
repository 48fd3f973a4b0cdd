"""A worker's column: counters are written by the flush, gauges at once, and a successor counts on."""

from proxy.shared_counts.column import NO_ROW, Column
from proxy.shared_counts.layout import ENDPOINTS, POOLS, WORKERS, EndpointCell, WorkerCell
from proxy.shared_counts.table import SharedTable


def test_counters_are_written_by_the_flush(table: SharedTable) -> None:
    column = Column(table, 1)
    tally = column.tally(ENDPOINTS, 4)
    tally.counts[EndpointCell.OPENED] += 2
    tally.touch()
    assert table.totals(ENDPOINTS, 4)[EndpointCell.OPENED] == 0
    column.flush()
    assert table.column_of(ENDPOINTS, 4, 1)[EndpointCell.OPENED] == 2


def test_gauges_are_written_at_once_and_no_flush_takes_them_back(table: SharedTable) -> None:
    column = Column(table, 0)
    tally = column.tally(ENDPOINTS, 4)
    tally.gauge(EndpointCell.ACTIVE, 3)
    tally.touch()
    column.flush()
    assert table.totals(ENDPOINTS, 4)[EndpointCell.ACTIVE] == 3


def test_what_changes_again_is_written_again(table: SharedTable) -> None:
    column = Column(table, 0)
    tally = column.tally(POOLS, 4)
    for _ in range(3):
        tally.counts[POOLS.gauges] += 1
        tally.touch()
        tally.touch()
        column.flush()
    assert table.totals(POOLS, 4)[POOLS.gauges] == 3


def test_columns_do_not_meet(table: SharedTable) -> None:
    columns = [Column(table, number) for number in range(3)]
    for number, column in enumerate(columns):
        tally = column.tally(ENDPOINTS, 4)
        tally.counts[EndpointCell.FAILED] = number + 1
        tally.touch()
        column.flush()
    assert [table.column_of(ENDPOINTS, 4, number)[EndpointCell.FAILED] for number in range(3)] == [1, 2, 3]
    assert table.totals(ENDPOINTS, 4)[EndpointCell.FAILED] == 6


def test_flushes_are_counted(table: SharedTable) -> None:
    column = Column(table, 2)
    column.flush()
    column.flush()
    assert table.column_of(WORKERS, 0, 2)[WorkerCell.FLUSHES] == 2


def test_a_successor_counts_on_from_what_a_dead_worker_left(table: SharedTable) -> None:
    column = Column(table, 1)
    tally = column.tally(ENDPOINTS, 4)
    tally.counts[EndpointCell.OPENED] = 5
    tally.gauge(EndpointCell.ACTIVE, 5)
    tally.touch()
    column.flush()
    table.clear_gauges(1)
    successor = Column(table, 1)
    counting = successor.tally(ENDPOINTS, 4)
    counting.counts[EndpointCell.OPENED] += 1
    counting.touch()
    successor.flush()
    assert table.totals(ENDPOINTS, 4)[EndpointCell.OPENED] == 6
    assert table.totals(ENDPOINTS, 4)[EndpointCell.ACTIVE] == 0
    assert table.column_of(WORKERS, 0, 1)[WorkerCell.FLUSHES] == 2


def test_a_tally_knows_where_the_other_columns_are(table: SharedTable) -> None:
    tallies = [Column(table, number).tally(ENDPOINTS, 4) for number in range(3)]
    for number, tally in enumerate(tallies):
        tally.gauge(EndpointCell.ACTIVE, 10**number)
    seen = [sum(tally.cells[first + EndpointCell.ACTIVE] for first in tally.elsewhere) for tally in tallies]
    assert seen == [110, 101, 11]


def test_what_has_no_row_is_counted_for_oneself(table: SharedTable) -> None:
    column = Column(table, 0)
    first, second = column.tally(ENDPOINTS, NO_ROW), column.tally(ENDPOINTS, NO_ROW)
    first.gauge(EndpointCell.ACTIVE, 1)
    first.touch()
    column.flush()
    assert second.cells[second.first + EndpointCell.ACTIVE] == 0
    assert list(table.touched(ENDPOINTS)) == []
    assert first.elsewhere == ()
