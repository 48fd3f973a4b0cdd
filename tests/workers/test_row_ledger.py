"""Rows of the shared table: who has which, against a model, and when one may be given out again."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.messages import PoolRows
from proxy.plan.frontend import Pool, Target
from proxy.shared_counts.column import NO_ROW
from proxy.shared_counts.layout import ENDPOINTS, POOLS, Region
from proxy.workers.row_ledger import RowLease, RowLedger

ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")


def pool(addresses: Sequence[str], key: str = "web") -> Pool:
    targets = tuple(Target(address, 80) for address in addresses)
    return Pool(key, f"default/{key}", "", "TCP", "rr", key, 0, 5.0, 0.0, targets)


def free_all(ledger: RowLedger) -> None:
    """What a sweep does when nothing is open; twice, since a pool waits for its endpoints."""
    for _ in range(2):
        for lease in ledger.left():
            if ledger.retire(lease):
                ledger.release(lease)


def test_an_endpoint_that_stays_keeps_its_row() -> None:
    ledger = RowLedger()
    before = ledger.hold(pool(ADDRESSES[:2]))
    after = ledger.hold(pool((ADDRESSES[2], ADDRESSES[1])))
    assert after.pool == before.pool
    assert after.endpoints[1] == before.endpoints[1]
    assert after.endpoints[0] not in before.endpoints
    assert ledger.left() == (RowLease(ENDPOINTS, before.endpoints[0]),)


def test_an_endpoint_that_comes_back_in_time_counts_on() -> None:
    ledger = RowLedger()
    before = ledger.hold(pool(ADDRESSES[:2]))
    ledger.hold(pool(ADDRESSES[:1]))
    assert ledger.hold(pool(ADDRESSES[:2])) == before
    assert ledger.left() == ()


def test_an_endpoint_that_comes_back_after_its_row_was_retired_gets_another() -> None:
    ledger = RowLedger()
    before = ledger.hold(pool(ADDRESSES[:2]))
    ledger.hold(pool(ADDRESSES[:1]))
    (lease,) = ledger.left()
    assert ledger.retire(lease)
    assert ledger.hold(pool(ADDRESSES[:2])).endpoints[1] != before.endpoints[1]
    ledger.release(lease)
    assert ledger.hold(pool(ADDRESSES[:3])).endpoints[2] == before.endpoints[1]


def test_a_pool_that_comes_back_is_another_one() -> None:
    ledger = RowLedger()
    before = ledger.hold(pool(ADDRESSES[:2]))
    ledger.drop("web")
    after = ledger.hold(pool(ADDRESSES[:2]))
    assert after.pool != before.pool
    assert not set(after.endpoints) & set(before.endpoints)


def test_a_pool_waits_for_the_last_of_its_endpoints() -> None:
    ledger = RowLedger()
    rows = ledger.hold(pool(ADDRESSES[:2]))
    ledger.hold(pool(ADDRESSES[:1]))
    ledger.drop("web")
    whole = RowLease(POOLS, rows.pool)
    first, second = (RowLease(ENDPOINTS, row) for row in rows.endpoints)
    assert ledger.retire(first)
    ledger.release(first)
    assert not ledger.retire(whole)
    assert ledger.retire(second)
    ledger.release(second)
    assert ledger.retire(whole)
    ledger.release(whole)
    assert ledger.left() == ()


def test_what_has_no_row_any_more_is_served_uncounted() -> None:
    small = Region("endpoints", rows=3, width=16, gauges=4)
    ledger = RowLedger(endpoints=small)
    assert ledger.hold(pool(ADDRESSES)).endpoints == (1, 2, NO_ROW, NO_ROW)
    ledger.drop("web")
    assert RowLease(small, NO_ROW) not in ledger.left()
    free_all(ledger)
    assert sorted(ledger.hold(pool(ADDRESSES[:2])).endpoints) == [1, 2]


changes = st.lists(
    st.tuples(st.sampled_from(("a", "b")), st.none() | st.lists(st.sampled_from(ADDRESSES), unique=True), st.booleans())
)


@given(changes)
def test_no_row_ever_has_two_owners(steps: list[tuple[str, list[str] | None, bool]]) -> None:
    ledger = RowLedger()
    held: dict[str, Sequence[str]] = {}
    for key, addresses, swept in steps:
        if addresses is not None:
            ledger.hold(pool(addresses, key))
            held[key] = addresses
        elif key in held:
            ledger.drop(key)
            del held[key]
        if swept:
            free_all(ledger)
            assert ledger.left() == ()
        rows = [ledger.rows_of(each) for each in held]
        endpoints = [row for each in rows if each is not None for row in each.endpoints]
        pools = [each.pool for each in rows if each is not None]
        left = ledger.left()
        assert len(endpoints) == sum(map(len, held.values()))
        assert NO_ROW not in endpoints + pools
        assert len({*endpoints, *(each.row for each in left if each.region is ENDPOINTS)}) == len(endpoints) + sum(
            each.region is ENDPOINTS for each in left
        )
        assert len({*pools, *(each.row for each in left if each.region is POOLS)}) == len(pools) + sum(
            each.region is POOLS for each in left
        )


def two_of_a_port() -> tuple[Pool, Pool]:
    local = pool(ADDRESSES[:1], key="web/local")
    return msgspec.structs.replace(local, service="default/web"), pool(ADDRESSES[:1], key="web")


def test_what_pools_had_counted_outlives_them_while_others_of_their_port_are_there() -> None:
    ledger = RowLedger()
    one, other = two_of_a_port()
    rows = ledger.hold(one)
    ledger.hold(other)
    ledger.drop(one.key)
    assert list(ledger.departing()) == [(one.service_port, rows)]
    whole, part = RowLease(POOLS, rows.pool), RowLease(ENDPOINTS, rows.endpoints[0])
    assert (ledger.is_departing(whole), ledger.is_departing(part)) == (True, False)
    ledger.release(part)
    assert list(ledger.departing()) == [(one.service_port, PoolRows(rows.pool, ()))]
    ledger.release(whole, [1, 2, 3])
    assert list(ledger.departing()) == []
    assert ledger.departed() == {one.service_port: [1, 2, 3]}
    second = ledger.hold(one)
    ledger.drop(one.key)
    ledger.release(RowLease(ENDPOINTS, second.endpoints[0]))
    ledger.release(RowLease(POOLS, second.pool), [10, 10, 10])
    assert ledger.departed() == {one.service_port: [11, 12, 13]}
    ledger.drop(other.key)
    assert ledger.departed() == {}


def test_a_port_that_is_gone_as_a_whole_is_not_remembered() -> None:
    ledger = RowLedger()
    one, other = two_of_a_port()
    rows = [ledger.hold(each) for each in (one, other)]
    ledger.drop(one.key)
    ledger.drop(other.key)
    assert list(ledger.departing()) == []
    ledger.hold(one)
    for each in rows:
        ledger.release(RowLease(ENDPOINTS, each.endpoints[0]))
        ledger.release(RowLease(POOLS, each.pool), [5])
    assert ledger.departed() == {}
    assert list(ledger.departing()) == []
