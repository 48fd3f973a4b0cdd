"""The order of destinations that every scheduler builds on."""

from collections.abc import Collection
from random import Random

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

A, B, C, D = (Backend("10.0.0.1", port) for port in (1, 2, 3, 4))


class First(Scheduler):
    name = "first"

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        return self.destinations[0]


def test_the_newest_destination_stands_first() -> None:
    scheduler = First(Random(1))
    scheduler.update([A, B])
    assert scheduler.destinations == [B, A]
    scheduler.update([A, B, C, D])
    assert scheduler.destinations == [D, C, B, A]


def test_those_that_stay_keep_their_place() -> None:
    scheduler = First(Random(1))
    scheduler.update([A, B, C])
    scheduler.update([C, D, A])
    assert scheduler.destinations == [D, C, A]


def test_a_backend_that_returns_is_the_newest() -> None:
    scheduler = First(Random(1))
    scheduler.update([A, B])
    scheduler.update([B])
    scheduler.update([A, B])
    assert scheduler.destinations == [A, B]


def test_usable_are_those_with_a_weight_in_list_order() -> None:
    drained = Backend("10.0.0.2", 1, 0)
    scheduler = First(Random(1))
    scheduler.update([A, drained, B])
    assert scheduler.usable == [B, A]
    drained.weight = 1
    scheduler.update([A, drained, B])
    assert scheduler.usable == [B, drained, A]
