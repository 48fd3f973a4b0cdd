"""The reader of live counts: what moved, and whose it is."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.inspection.count_reader import CountReader
from proxy.plan.frontend import Pool, Target
from proxy.reports.live_frame import EndpointCounts
from proxy.shared_counts.layout import ENDPOINTS, EndpointCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger
from tests.finished import finished


def pool(key: str, *numbers: int) -> Pool:
    targets = tuple(Target(f"10.0.0.{number}", 80) for number in numbers)
    return Pool(key, key, "", "TCP", "rr", key, 0, 5.0, 0.0, targets)


class Scene:
    """Two workers' table, the ledger of its rows and a reader of both."""

    def __init__(self) -> None:
        self.table = SharedTable.create(2)
        self.ledger = RowLedger()
        self.reader = CountReader(self.table, self.ledger)

    def count(self, key: str, place: int, cell: EndpointCell, value: int, worker: int = 0) -> None:
        row = self.ledger.endpoint_rows(key)[place]
        self.table.cells[self.table.first_cell(ENDPOINTS, row, worker) + cell] = value


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.table.close()


def test_what_moved_is_told_once_and_added_up_over_the_workers(scene: Scene) -> None:
    scene.ledger.hold(pool("a", 1, 2))
    scene.ledger.hold(pool("b", 3))
    assert finished(scene.reader.changed()) == {}
    scene.count("a", 1, EndpointCell.ACTIVE, 2, worker=0)
    scene.count("a", 1, EndpointCell.ACTIVE, 3, worker=1)
    scene.count("b", 0, EndpointCell.OPENED, 7)
    assert finished(scene.reader.changed()) == {"a": {1: EndpointCounts(active=5)}, "b": {0: EndpointCounts(opened=7)}}
    assert finished(scene.reader.changed()) == {}


def test_every_count_has_its_place(scene: Scene) -> None:
    scene.ledger.hold(pool("a", 1))
    cells = ("ACTIVE", "INACTIVE", "FAILING", "OPENED", "FAILED", "RECEIVED_BYTES", "SENT_BYTES")
    for number, name in enumerate(cells, start=1):
        for worker in range(2):
            scene.count("a", 0, EndpointCell[name], number, worker)
    assert finished(scene.reader.changed()) == {"a": {0: EndpointCounts(2, 4, 1, 8, 10, 12, 14)}}
    assert scene.reader.all_of("a") == {0: EndpointCounts(2, 4, 1, 8, 10, 12, 14)}
    assert scene.reader.all_of("none") == {}


def test_an_endpoint_that_left_is_told_of_no_more(scene: Scene) -> None:
    scene.ledger.hold(pool("a", 1, 2))
    left = scene.ledger.endpoint_rows("a")[0]
    scene.count("a", 0, EndpointCell.ACTIVE, 1)
    assert set(finished(scene.reader.changed())["a"]) == {0}
    scene.ledger.hold(pool("a", 2))
    scene.table.cells[scene.table.first_cell(ENDPOINTS, left)] = 9
    assert finished(scene.reader.changed()) == {}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.integers(1, 5), unique=True)), min_size=1, max_size=12))
def test_a_row_is_told_for_the_endpoint_that_has_it_now(pools: list[tuple[str, list[int]]]) -> None:
    scene = Scene()
    held: dict[str, list[int]] = {}
    for moment, (key, numbers) in enumerate(pools, start=1):
        scene.ledger.hold(pool(key, *numbers))
        held[key] = numbers
        for each, members in held.items():
            for place in range(len(members)):
                scene.count(each, place, EndpointCell.OPENED, moment)
        changed = finished(scene.reader.changed())
        assert {each: set(counts) for each, counts in changed.items()} == {
            each: set(range(len(members))) for each, members in held.items() if members
        }
    scene.table.close()
