"""The difference between two states of the tables."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.delta import Tables, difference
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool


def pool(key: str, scheduler: str) -> Pool:
    return Pool(key, "default/myapp", "", "TCP", scheduler, key, 0, 5.0, 0.0, ())


def frontend(port: int, pool_key: str) -> Frontend:
    return Frontend(FrontendKey("TCP", "127.0.0.1", port), pool_key, "default/myapp", "ClusterIP")


names = st.sampled_from(["a", "b", "c"])
pools = st.dictionaries(names, names).map(lambda d: {key: pool(key, value) for key, value in d.items()})
frontends = st.dictionaries(st.integers(1, 3), names).map(
    lambda d: {(made := frontend(port, value)).key: made for port, value in d.items()}
)
tables = st.builds(Tables, pools, frontends)


@given(tables, tables)
def test_applied_to_the_one_it_gives_the_other(before: Tables, after: Tables) -> None:
    delta = difference(before, after)
    patched_pools = {**before.pools, **{each.key: each for each in delta.pools}}
    patched_frontends = {**before.frontends, **{each.key: each for each in delta.frontends}}
    for pool_key in delta.removed_pools:
        del patched_pools[pool_key]
    for key in delta.removed_frontends:
        del patched_frontends[key]
    assert (patched_pools, patched_frontends) == (after.pools, after.frontends)


@given(tables, tables)
def test_names_nothing_that_stayed_equal(before: Tables, after: Tables) -> None:
    delta = difference(before, after)
    assert all(before.pools.get(each.key) != each for each in delta.pools)
    assert all(before.frontends.get(each.key) != each for each in delta.frontends)


@given(tables)
def test_is_false_between_equal_tables(same: Tables) -> None:
    delta = difference(same, same)
    assert not delta
    assert delta == Delta()


def test_is_sorted_by_key() -> None:
    after = Tables(
        {key: pool(key, "rr") for key in "cab"}, {(made := frontend(port, "a")).key: made for port in (3, 1, 2)}
    )
    delta = difference(Tables({}, {}), after)
    assert [each.key for each in delta.pools] == ["a", "b", "c"]
    assert [each.key.port for each in delta.frontends] == [1, 2, 3]
    gone = difference(after, Tables({}, {}))
    assert gone.removed_pools == ("a", "b", "c")
    assert [key.port for key in gone.removed_frontends] == [1, 2, 3]
