"""sh against 256 buckets dealt by hand, and its way beyond them."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle, islice, repeat

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import KeyedBy, Scheduler
from proxy.schedulers.sh import SourceHash

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]
weights_of_pools = st.lists(st.integers(0, 9), min_size=1, max_size=8)
clients = st.integers(0, 2**32 - 1)


def dealt(backends: list[Backend]) -> list[Backend]:
    """256 buckets, owned in turn by each destination for as many buckets as it weighs, but at least one."""
    hands = cycle([backend for owner in backends for backend in repeat(owner, owner.weight or 1)])
    return list(islice(hands, 256))


def first_bucket(client: int) -> int:
    return (client * 0x61C88647 % 2**32) >> 24


def test_is_keyed_by_the_source() -> None:
    assert SourceHash.keyed_by is KeyedBy.SOURCE


@given(weights=weights_of_pools, client=clients)
def test_the_owner_of_the_clients_bucket_serves_or_nobody(start: Start, weights: list[int], client: int) -> None:
    scheduler, backends = start("sh", weights)
    owner = dealt(backends)[first_bucket(client)]
    assert scheduler.pick(client, 0.0) is (owner if owner.weight > 0 else None)


@given(weights=weights_of_pools, client=clients, data=st.data())
def test_a_retry_probes_the_buckets_after_twice_the_first(
    start: Start, weights: list[int], client: int, data: st.DataObject
) -> None:
    scheduler, backends = start("sh", weights)
    tried = data.draw(st.lists(st.sampled_from(backends), min_size=1, unique=True))
    buckets, first = dealt(backends), first_bucket(client)
    order = [buckets[first]] + [buckets[(first + (first + step) % 256) % 256] for step in range(256)]
    fit = [backend for backend in order if backend.weight > 0 and backend not in tried]
    assert scheduler.pick(client, 0.0, tried) is (fit[0] if fit else None)


@given(weights=weights_of_pools, client=clients)
def test_a_client_meets_the_same_backend_whatever_happened_between(
    start: Start, weights: list[int], client: int
) -> None:
    scheduler, backends = start("sh", weights)
    first = scheduler.pick(client, 0.0)
    for other in range(50):
        scheduler.pick(other, 1.0)
    for backend in backends:
        backend.active = 9
    assert scheduler.pick(client, 1e6) is first


def test_clients_in_a_row_are_shared_by_weight(start: Start) -> None:
    scheduler, (a, b) = start("sh", (3, 1))
    counts = Counter(scheduler.pick(0x0A000000 + client, 0.0) for client in range(4096))
    assert abs(counts[a] - 3072) < 100
    assert abs(counts[b] - 1024) < 100


def test_a_drained_backend_refuses_its_clients_and_leaves_the_others_in_place(start: Start) -> None:
    scheduler, backends = start("sh", (1, 1, 1))
    before = {client: scheduler.pick(client, 0.0) for client in range(500)}
    backends[1].weight = 0
    scheduler.update(backends)
    after = {client: scheduler.pick(client, 0.0) for client in range(500)}
    assert after == {client: None if owner is backends[1] else owner for client, owner in before.items()}


@given(weights=st.lists(st.sampled_from([0, 1, 40, 100, 65535]), min_size=20, max_size=400))
def test_every_backend_of_a_large_pool_has_clients(start: Start, weights: list[int]) -> None:
    scheduler, backends = start("sh", weights)
    assert isinstance(scheduler, SourceHash)
    owners = Counter(scheduler.fill())
    assert set(owners) == set(backends)
    assert len(list(owners.elements())) <= 2**18


def test_a_large_pool_of_equal_weights_is_shared_as_evenly_as_its_buckets_allow(start: Start) -> None:
    scheduler, backends = start("sh", [100] * 300)
    assert isinstance(scheduler, SourceHash)
    owned = Counter(scheduler.fill())
    assert {owned[backend] for backend in backends} == {1, 2}


def test_the_table_is_built_at_the_first_pick_and_kept_until_the_pool_changes(start: Start) -> None:
    scheduler, backends = start("sh", (1, 2))
    assert isinstance(scheduler, SourceHash)
    assert scheduler.table is None
    scheduler.pick(1, 0.0)
    table = scheduler.table
    scheduler.update(backends)
    scheduler.pick(2, 0.0)
    assert scheduler.table is table
    scheduler.update(backends[:1])
    assert scheduler.table is None
