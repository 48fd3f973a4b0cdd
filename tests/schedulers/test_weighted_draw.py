"""Marks on a line of weights."""

from proxy.schedulers.backend import Backend
from proxy.schedulers.weighted_draw import WeightedDraw


def test_a_mark_belongs_to_the_first_backend_that_reaches_it() -> None:
    a, b = Backend("10.0.0.1", 1, 2), Backend("10.0.0.1", 2, 3)
    draw = WeightedDraw([a, b])
    assert draw.total == 5
    assert [draw.at(mark) for mark in range(6)] == [a, a, a, b, b, b]


def test_nobody_to_draw_has_no_length() -> None:
    assert WeightedDraw([]).total == 0
