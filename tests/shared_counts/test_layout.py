"""The table's layout: every cell has a place of its own within its row."""

import pytest

from proxy.shared_counts.layout import ENDPOINTS, POOLS, REGIONS, WORKERS, EndpointCell, PoolCell, Region, WorkerCell


@pytest.mark.parametrize(
    ("region", "cells"), [(WORKERS, WorkerCell), (POOLS, PoolCell), (ENDPOINTS, EndpointCell)], ids=["w", "p", "e"]
)
def test_every_cell_is_within_its_row_and_has_one_name(
    region: Region, cells: type[WorkerCell] | type[PoolCell] | type[EndpointCell]
) -> None:
    assert all(0 <= cell < region.width for cell in cells)
    assert len(cells.__members__) == len(set(cells))


def test_there_is_a_row_for_each_of_ten_thousand_services_many_times_over() -> None:
    assert POOLS.rows >= 5 * 20_000
    assert ENDPOINTS.rows >= 5 * 200_000


def test_regions_have_names_of_their_own() -> None:
    assert len({region.name for region in REGIONS}) == len(REGIONS)
