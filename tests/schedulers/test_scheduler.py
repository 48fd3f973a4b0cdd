"""The order of destinations that every scheduler builds on."""

from random import Random

from proxy.schedulers.backend import Backend
from proxy.schedulers.registry import create

A, B, C, D = (Backend("10.0.0.1", port) for port in (1, 2, 3, 4))


def test_the_newest_destination_stands_first() -> None:
    scheduler = create("rr", Random(1))
    scheduler.update([A, B])
    assert scheduler.destinations == [B, A]
    scheduler.update([A, B, C, D])
    assert scheduler.destinations == [D, C, B, A]


def test_those_that_stay_keep_their_place() -> None:
    scheduler = create("rr", Random(1))
    scheduler.update([A, B, C])
    scheduler.update([C, D, A])
    assert scheduler.destinations == [D, C, A]


def test_a_backend_that_returns_is_the_newest() -> None:
    scheduler = create("rr", Random(1))
    scheduler.update([A, B])
    scheduler.update([B])
    scheduler.update([A, B])
    assert scheduler.destinations == [A, B]


def test_usable_are_those_with_a_weight_in_list_order() -> None:
    drained = Backend("10.0.0.2", 1, 0)
    scheduler = create("rr", Random(1))
    scheduler.update([A, drained, B])
    assert scheduler.usable == [B, A]
    drained.weight = 1
    scheduler.update([A, drained, B])
    assert scheduler.usable == [B, drained, A]
