"""The messages of a delta: what comes with which, and in which order."""

import pytest

from proxy.dataplane.lazy_pool import decode_pool
from proxy.dataplane.messages import Update
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target
from proxy.workers.row_ledger import RowLedger
from proxy.workers.update_encoder import MOST_ENDPOINTS, MOST_POOLS, MOST_SOCKETS, UpdateEncoder

SHARED = FrontendKey("TCP", "127.0.0.1", 40000)
MANY = 600


def delta() -> Delta:
    pools = [Pool(str(n), "default/web", "", "TCP", "rr", str(n), 0, 5.0, 0.0, ()) for n in range(MANY)]
    frontends = [
        Frontend(FrontendKey("TCP", f"10.96.{n // 250}.{n % 250}", 80), str(n), "default/web", "ClusterIP")
        for n in range(MANY)
    ]
    return Delta(tuple(pools), tuple(frontends))


def messages(delta: Delta, opened: set[FrontendKey]) -> list[Update]:
    return list(UpdateEncoder(RowLedger()).messages(delta, opened))


def test_no_message_brings_more_than_the_kernel_passes_or_holds_a_worker_up() -> None:
    told = messages(delta(), {frontend.key for frontend in delta().frontends})
    assert max(len(each.opened) for each in told) == MOST_SOCKETS
    assert max(len(each.pools) for each in told) == MOST_POOLS
    assert [frontend for each in told for frontend in each.frontends] == list(delta().frontends)
    assert not any(each.shared for each in told)


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([MOST_ENDPOINTS, 1], [[0], [1]]),
        ([MOST_ENDPOINTS - 1, 1, 1], [[0, 1], [2]]),
        ([MOST_ENDPOINTS * 3, 0, 1], [[0], [1, 2]]),
        ([1, MOST_ENDPOINTS * 3, 1], [[0], [1], [2]]),
        ([0] * (MOST_POOLS + 1), [list(range(MOST_POOLS)), [MOST_POOLS]]),
        ([], []),
    ],
)
def test_large_pools_travel_in_messages_of_their_own(sizes: list[int], parts: list[list[int]]) -> None:
    pools = tuple(
        filled(*(f"10.{n}.{i >> 8}.{i & 255}" for i in range(size)), key=str(n)).pools[0]
        for n, size in enumerate(sizes)
    )
    told = messages(Delta(pools), set())
    assert [[int(pool.key) for pool in each.pools] for each in told] == parts


def test_a_frontend_without_a_socket_of_its_own_is_told_all_the_same() -> None:
    told = messages(delta(), set())
    assert sum(len(each.frontends) for each in told) == MANY
    assert not any(each.opened for each in told)


def test_a_worker_that_starts_knows_every_frontend_before_it_takes_a_client() -> None:
    told = messages(delta(), {SHARED})
    assert [each.shared for each in told if each.shared] == [(SHARED,)]
    assert told[-1] == Update(opened=(SHARED,), shared=(SHARED,))


def test_what_a_worker_is_told_anew_is_as_it_was_when_it_began_however_late_it_asks() -> None:
    encoder = UpdateEncoder(RowLedger())
    list(encoder.messages(filled("10.0.0.1", "10.0.0.2"), set()))
    (before,) = encoder.everything(filled("10.0.0.1", "10.0.0.2"), set())
    late = encoder.everything(filled("10.0.0.1", "10.0.0.2"), set())
    list(encoder.messages(filled("10.0.0.2", "10.0.0.3"), set()))
    assert next(late) == before
    (now,) = encoder.everything(filled("10.0.0.2", "10.0.0.3"), set())
    assert [decode_pool(each.pools[0].body).rows.endpoints for each in (before, now)] == [(1, 2), (2, 3)]


def filled(*addresses: str, key: str = "web") -> Delta:
    targets = tuple(Target(address, 80) for address in addresses)
    return Delta((Pool(key, "default/web", "", "TCP", "rr", key, 0, 5.0, 0.0, targets),))
