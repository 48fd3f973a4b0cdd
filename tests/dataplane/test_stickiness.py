"""Stickiness: identities of endpoints that several pools share."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.affinity import AffinityTable
from proxy.dataplane.stickiness import Place, Stickiness

X, Y = ("10.0.0.1", 80), ("10.0.0.2", 80)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([X, Y]))))
def test_an_identity_lasts_from_the_first_join_to_the_last_leave(steps: list[tuple[bool, Place]]) -> None:
    stickiness = Stickiness(AffinityTable(10), 60)
    holders: dict[Place, list[int]] = {X: [], Y: []}
    given_out: set[int] = set()
    for joins, place in steps:
        if joins:
            identity = stickiness.join(place)
            if holders[place]:
                assert identity == holders[place][0]
            else:
                assert identity not in given_out
            holders[place].append(identity)
            given_out.add(identity)
        elif holders[place]:
            holders[place].pop()
            stickiness.leave(place)


def test_an_entry_is_bound_until_it_is_forgotten() -> None:
    stickiness = Stickiness(AffinityTable(10), 60)
    identity = stickiness.join(X)
    stickiness.store(7, identity, 0.0)
    assert stickiness.lookup(7, 1.0) == identity
    stickiness.forget(7)
    assert stickiness.lookup(7, 2.0) == 0


def test_entries_that_exist_are_judged_by_a_new_timeout() -> None:
    stickiness = Stickiness(AffinityTable(10), 60)
    stickiness.store(7, stickiness.join(X), 0.0)
    stickiness.set_timeout(5)
    assert stickiness.lookup(7, 6.0) == 0


def test_entries_of_another_service_port_are_others() -> None:
    table = AffinityTable(10)
    one, other = Stickiness(table, 60), Stickiness(table, 60)
    one.store(7, one.join(X), 0.0)
    other.join(Y)
    assert other.lookup(7, 1.0) == 0


def test_closing_ends_every_entry() -> None:
    table = AffinityTable(10)
    stickiness = Stickiness(table, 60)
    stickiness.store(7, stickiness.join(X), 0.0)
    stickiness.close()
    assert stickiness.lookup(7, 0.0) == 0
