"""Deadlines against a model that looks at every item every time."""

import math

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.deadlines import Deadlines


class Item:
    """Its deadline moves when it is used."""

    def __init__(self, at: float) -> None:
        self.at = at

    def deadline(self) -> float:
        return self.at


TIMES = st.integers(0, 50).map(float)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), TIMES),
        st.tuples(st.just("use"), TIMES),
        st.tuples(st.just("discard"), TIMES),
        st.tuples(st.just("pass"), TIMES),
        st.tuples(st.just("nearest"), TIMES),
    ),
    max_size=60,
)


@given(STEPS)
def test_exactly_the_overdue_are_reported_and_each_once(steps: list[tuple[str, float]]) -> None:
    deadlines, watched, now = Deadlines(), list[Item](), 0.0
    for action, number in steps:
        chosen = watched[int(number) % len(watched)] if watched else None
        if action == "add":
            watched.append(Item(now + number))
            deadlines.add(watched[-1])
        elif action == "use" and chosen is not None:
            chosen.at += number
        elif action == "discard" and chosen is not None:
            watched.remove(chosen)
            deadlines.discard(chosen)
        elif action == "pass":
            now += number
            overdue = [item for item in watched if item.at <= now]
            assert set(deadlines.due(now)) == set(overdue)
            watched = [item for item in watched if item.at > now]
        elif action == "nearest":
            nearest = deadlines.nearest()
            assert (nearest.deadline() if nearest else None) == min((item.at for item in watched), default=None)
        assert len(deadlines) == len(watched)


def test_what_was_discarded_is_never_reported() -> None:
    deadlines, item = Deadlines(), Item(1.0)
    deadlines.add(item)
    deadlines.discard(item)
    assert deadlines.due(2.0) == []
    assert deadlines.nearest() is None


def test_discarding_the_unknown_is_harmless() -> None:
    deadlines = Deadlines()
    deadlines.discard(Item(1.0))
    assert len(deadlines) == 0


def test_what_was_reported_can_be_added_again() -> None:
    deadlines, item = Deadlines(), Item(1.0)
    deadlines.add(item)
    assert deadlines.due(1.0) == [item]
    item.at = 5.0
    deadlines.add(item)
    assert (deadlines.due(4.0), deadlines.due(5.0)) == ([], [item])


def test_an_item_without_a_limit_is_never_due_but_can_be_the_nearest() -> None:
    deadlines, first, second = Deadlines(), Item(math.inf), Item(math.inf)
    deadlines.add(first)
    deadlines.add(second)
    assert deadlines.due(1e9) == []
    assert deadlines.nearest() is first


def test_many_discarded_items_do_not_keep_memory() -> None:
    deadlines = Deadlines()
    for number in range(10_000):
        item = Item(1e6 + number)
        deadlines.add(item)
        deadlines.discard(item)
    assert len(deadlines._heap) < 100
