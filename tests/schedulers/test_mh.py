"""mh against the Maglev paper's algorithm on whole permutations, and the promises it makes."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from math import gcd

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.hashing import client_hash, endpoint_hashes
from proxy.schedulers.mh import Maglev, populate
from proxy.schedulers.scheduler import KeyedBy, Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]
CLIENTS = range(0x0A000000, 0x0A000000 + 5000)


def maglev(contenders: list[tuple[int, int, int]], size: int) -> list[int]:
    """Pseudocode 1 of the paper: each backend's permutation written out, then taken from in turn."""
    permutations = [
        iter([(first % size + step * (second % (size - 1) + 1)) % size for step in range(size)])
        for first, second, _ in contenders
    ]
    entry: dict[int, int] = {}
    while True:
        for owner, (_, _, turns) in enumerate(contenders):
            for _ in range(turns):
                entry[next(place for place in permutations[owner] if place not in entry)] = owner
                if len(entry) == size:
                    return [entry[place] for place in range(size)]


def table_of(scheduler: Scheduler) -> list[Backend]:
    assert isinstance(scheduler, Maglev)
    return scheduler.fill()


def owners(scheduler: Scheduler) -> dict[int, Backend | None]:
    return {client: scheduler.pick(client, 0.0) for client in CLIENTS}


def test_is_keyed_by_the_source() -> None:
    assert Maglev.keyed_by is KeyedBy.SOURCE


@given(
    contenders=st.lists(
        st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(1, 5)), min_size=1, max_size=9
    ),
    size=st.sampled_from([2, 3, 13, 251]),
)
def test_the_table_is_the_papers(contenders: list[tuple[int, int, int]], size: int) -> None:
    assert populate(contenders, size) == maglev(contenders, size)


@settings(max_examples=25)
@given(weights=st.lists(st.integers(0, 200), min_size=1, max_size=4), client=st.integers(0, 2**32 - 1))
def test_a_client_goes_to_the_owner_of_its_place(start: Start, weights: list[int], client: int) -> None:
    scheduler, backends = start("mh", weights)
    listed = [backend for backend in backends if backend.weight > 0]
    expected = None
    if listed:
        units = [weight // reduce(gcd, [b.weight for b in listed]) for weight in (b.weight for b in listed)]
        halvings = 0
        while max(units) >> halvings >= 64:
            halvings += 1
        turns = [(unit >> halvings) or 1 for unit in units]
        contenders = [(*endpoint_hashes(b.address, b.port), count) for b, count in zip(listed, turns, strict=True)]
        expected = listed[maglev(contenders, 4093)[client_hash(client) % 4093]]
    assert scheduler.pick(client, 0.0) is expected


def test_places_are_shared_by_weight(start: Start) -> None:
    scheduler, backends = start("mh", (1, 2, 5))
    counts = Counter(table_of(scheduler))
    assert all(abs(counts[backend] - 4093 * backend.weight / 8) <= backend.weight for backend in backends)


def test_clients_in_a_row_are_shared_by_weight(start: Start) -> None:
    scheduler, (a, b) = start("mh", (3, 1))
    counts = Counter(owners(scheduler).values())
    assert abs(counts[a] - 3750) < 150
    assert abs(counts[b] - 1250) < 150


def test_a_backend_that_leaves_moves_few_clients_of_others(start: Start) -> None:
    scheduler, backends = start("mh", [1] * 10)
    before = owners(scheduler)
    scheduler.update(backends[1:])
    after = owners(scheduler)
    moved = [client for client in CLIENTS if before[client] is not backends[0] and before[client] is not after[client]]
    assert len(moved) < len(CLIENTS) * 0.1


def test_a_backend_that_joins_takes_its_share_and_moves_few_others(start: Start) -> None:
    scheduler, backends = start("mh", [1] * 9)
    newcomer = Backend("10.0.9.9", 80)
    before = owners(scheduler)
    scheduler.update([*backends, newcomer])
    after = owners(scheduler)
    moved = [client for client in CLIENTS if after[client] is not newcomer and before[client] is not after[client]]
    assert len(moved) < len(CLIENTS) * 0.1
    assert sum(owner is newcomer for owner in after.values()) > len(CLIENTS) * 0.07


def test_draining_moves_nobody_and_refuses_the_drained_ones_clients(start: Start) -> None:
    scheduler, backends = start("mh", (2, 3, 1))
    before = owners(scheduler)
    backends[1].weight = 0
    scheduler.update(backends)
    assert owners(scheduler) == {client: None if owner is backends[1] else owner for client, owner in before.items()}
    backends[1].weight = 3
    scheduler.update(backends)
    assert owners(scheduler) == before


def test_a_retry_finds_the_last_one_left_even_where_the_probes_miss_its_places(start: Start) -> None:
    scheduler, backends = start("mh", [1] * 1000)
    left = backends[115]
    assert scheduler.pick(1, 0.0, set(backends) - {left}) is left


def test_a_backend_that_never_had_a_weight_owns_nothing(start: Start) -> None:
    scheduler, (a, _) = start("mh", (1, 0))
    assert set(owners(scheduler).values()) == {a}


def test_the_order_of_arrival_hardly_matters(start: Start) -> None:
    scheduler, backends = start("mh", [1] * 10)
    before = table_of(scheduler)
    scheduler.update(backends[5:])
    scheduler.update(backends)
    assert scheduler.destinations != backends
    same = sum(first is second for first, second in zip(before, table_of(scheduler), strict=True))
    assert same > 4093 * 0.8


def test_the_table_grows_so_that_every_backend_of_a_large_pool_has_places(start: Start) -> None:
    scheduler, backends = start("mh", [60, 61] * 150)
    table = table_of(scheduler)
    assert len(table) == 32749
    assert set(table) == set(backends)
