"""dh against 256 buckets dealt one by one."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.dh import DestinationHash
from proxy.schedulers.scheduler import KeyedBy, Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]


def test_is_keyed_by_the_destination() -> None:
    assert DestinationHash.keyed_by is KeyedBy.DESTINATION


def test_one_address_means_one_backend(start: Start) -> None:
    scheduler, _ = start("dh", (1, 1, 1))
    assert len({scheduler.pick(0x0A600001, float(second)) for second in range(50)}) == 1


@given(weights=st.lists(st.integers(0, 9), min_size=1, max_size=256), destination=st.integers(0, 2**32 - 1))
def test_the_owner_of_the_destinations_bucket_serves_or_nobody(
    start: Start, weights: list[int], destination: int
) -> None:
    scheduler, backends = start("dh", weights)
    bucket = (destination * 0x61C88647 % 2**32) >> 24
    owner = backends[bucket % len(backends)]
    assert scheduler.pick(destination, 0.0) is (owner if owner.weight > 0 else None)


def test_every_backend_of_a_large_pool_has_destinations(start: Start) -> None:
    scheduler, backends = start("dh", [1] * 1000)
    assert isinstance(scheduler, DestinationHash)
    assert set(scheduler.fill()) == set(backends)
