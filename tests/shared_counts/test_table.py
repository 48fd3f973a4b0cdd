"""The shared table: what one process writes another reads, and an untouched row costs nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import ENDPOINTS, POOLS, REGIONS, EndpointCell, Region
from proxy.shared_counts.table import SharedTable

COUNT_ELSEWHERE = """
import sys
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import ENDPOINTS, EndpointCell
from proxy.shared_counts.table import SharedTable
tally = Column(SharedTable(int(sys.argv[1]), 3), 2).tally(ENDPOINTS, 9)
tally.gauge(EndpointCell.ACTIVE, 7)
"""


def pages(table: SharedTable) -> int:
    return os.fstat(table.descriptor).st_blocks


def test_a_new_table_takes_no_memory_and_counts_nothing(table: SharedTable) -> None:
    assert pages(table) == 0
    assert table.totals(ENDPOINTS, 123_456) == [0] * ENDPOINTS.width
    assert [list(table.touched(region)) for region in REGIONS] == [[], [], []]
    assert pages(table) == 0


def test_totals_add_the_columns_up(table: SharedTable) -> None:
    for number in range(3):
        table.cells[table.first_cell(POOLS, 5, number) + 8] = 10**number
    assert table.totals(POOLS, 5)[8] == table.total(POOLS, [5], [8]) == 111
    assert table.touched_totals(POOLS, 5) == table.totals(POOLS, 5)
    table.cells[table.first_cell(POOLS, 7, 1) + 9] = 1000
    assert table.total(POOLS, [5, 7, 9], [8, 9]) == 1111
    assert table.column_of(POOLS, 5, 1)[8] == 10


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_no_cell_of_the_last_row_is_anybody_elses(table: SharedTable, region: Region) -> None:
    first = table.first_cell(region, region.rows - 1)
    size = region.width * table.columns
    following = REGIONS[REGIONS.index(region) + 1 :]
    assert first + size == (table.first_cell(following[0], 0) if following else len(table.cells))


def test_another_process_writes_into_the_same_table(table: SharedTable) -> None:
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", COUNT_ELSEWHERE, str(table.descriptor)],
        pass_fds=[table.descriptor],
        env={"PYTHONPATH": str(root)},
        check=True,
    )
    assert table.column_of(ENDPOINTS, 9, 2)[EndpointCell.ACTIVE] == 7
    assert table.totals(ENDPOINTS, 9)[EndpointCell.ACTIVE] == 7


def test_touched_rows_are_found_and_the_others_passed_over(table: SharedTable) -> None:
    for row in (1, 70_000, ENDPOINTS.rows - 1):
        Column(table, 1).tally(ENDPOINTS, row).gauge(EndpointCell.ACTIVE, 1)
    touched = list(table.touched(ENDPOINTS))
    assert {1, 70_000, ENDPOINTS.rows - 1} <= set(touched)
    assert len(touched) < 200
    assert touched == sorted(set(touched))
    assert touched[-1] == ENDPOINTS.rows - 1


def test_a_wiped_row_is_zero_in_every_column_and_its_neighbours_are_not(table: SharedTable) -> None:
    for number in range(3):
        for row in (3, 4, 5):
            for cell in range(ENDPOINTS.width):
                table.cells[table.first_cell(ENDPOINTS, row, number) + cell] = 1
    table.wipe(ENDPOINTS, 4)
    assert table.totals(ENDPOINTS, 4) == [0] * ENDPOINTS.width
    assert table.totals(ENDPOINTS, 3) == table.totals(ENDPOINTS, 5) == [3] * ENDPOINTS.width


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_the_gauges_of_a_dead_worker_are_cleared_and_its_counters_stay(table: SharedTable, region: Region) -> None:
    for number in range(3):
        for cell in range(region.width):
            table.cells[table.first_cell(region, region.rows - 1, number) + cell] = 1
    table.clear_gauges(1)
    counters = region.width - region.gauges
    assert table.column_of(region, region.rows - 1, 1) == [0] * region.gauges + [1] * counters
    for number in (0, 2):
        assert table.column_of(region, region.rows - 1, number) == [1] * region.width


def test_the_map_leaves_nothing_open() -> None:
    before = os.listdir("/proc/self/fd")
    SharedTable.create(1).close()
    assert os.listdir("/proc/self/fd") == before
