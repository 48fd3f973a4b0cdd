"""Which rows changed, found without looking at each."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.shared_counts.layout import ENDPOINTS, REGIONS, Region
from proxy.shared_counts.row_watcher import RowWatcher
from proxy.shared_counts.table import SharedTable

PLACES = st.tuples(
    st.sampled_from([0, 1, 2, 63, 64, 65, 127, 128, 5000, 5001, 70_000, ENDPOINTS.rows - 1]),
    st.integers(0, 2),
    st.integers(0, ENDPOINTS.width - 1),
    st.integers(0, 2),
)


def told(watcher: RowWatcher) -> dict[int, list[int]]:
    """All that changed."""
    return {row: list(cells) for piece in watcher.changed() for row, cells in piece.items()}


@given(st.lists(st.lists(PLACES, max_size=8), max_size=6))
def test_a_row_is_told_if_and_only_if_a_cell_of_it_changed(rounds: list[list[tuple[int, int, int, int]]]) -> None:
    table = SharedTable.create(3)
    watcher, cells = RowWatcher(table, ENDPOINTS), dict[tuple[int, int, int], int]()
    for writes in rounds:
        before = dict(cells)
        for row, column, cell, value in writes:
            table.cells[table.first_cell(ENDPOINTS, row, column) + cell] = value
            cells[row, column, cell] = value
        changed = told(watcher)
        assert changed.keys() == {key[0] for key in cells if cells[key] != before.get(key, 0)}
        assert all(told == table.totals(ENDPOINTS, row) for row, told in changed.items())
    table.close()


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_the_last_row_belongs_to_its_region_alone(table: SharedTable, region: Region) -> None:
    watchers = {each.name: RowWatcher(table, each) for each in REGIONS}
    for row in (0, region.rows - 1):
        table.cells[table.first_cell(region, row, 2) + region.width - 1] = 7
    changed = {name: set(told(watcher)) for name, watcher in watchers.items()}
    assert changed == {each.name: {0, region.rows - 1} if each is region else set() for each in REGIONS}


def test_a_wiped_row_is_told_once(table: SharedTable) -> None:
    watcher = RowWatcher(table, ENDPOINTS)
    table.cells[table.first_cell(ENDPOINTS, 9)] = 1
    assert told(watcher)[9][0] == 1
    table.wipe(ENDPOINTS, 9)
    assert told(watcher) == {9: [0] * ENDPOINTS.width}
    assert told(watcher) == {}


def test_looking_takes_no_memory_of_the_table(table: SharedTable) -> None:
    assert told(RowWatcher(table, ENDPOINTS)) == {}
    assert os.fstat(table.descriptor).st_blocks == 0
