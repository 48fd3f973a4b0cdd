"""Slices that were given and slices that were made, told apart once and reported once."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.slice_store import SliceStore
from proxy.model.endpoint_slice import LAST_CHANGE_TRIGGER_TIME, EndpointSlice
from proxy.model.metadata import ObjectMeta

OWNER = ("default", "s")


def endpoint_slice(name: str, family: str = "IPv4") -> EndpointSlice:
    return EndpointSlice(ObjectMeta(name=name, namespace="default"), family)


def test_reports_a_difference_once() -> None:
    store, made = SliceStore(), endpoint_slice("a")
    store.make(OWNER, [made])
    assert store.drain() == ((made,), ())
    store.make(OWNER, [made])
    assert store.drain() == ((), ())
    store.make(OWNER, [])
    assert store.drain() == ((), (made.key,))


def test_a_change_that_is_taken_back_is_no_difference() -> None:
    store, given_slice = SliceStore(), endpoint_slice("a")
    store.give(given_slice.key, given_slice)
    store.give(given_slice.key, None)
    assert store.drain() == ((), ())


def test_a_given_slice_hides_a_made_one_of_its_name() -> None:
    store, made, given_slice = SliceStore(), endpoint_slice("a"), endpoint_slice("a", "IPv6")
    store.make(OWNER, [made])
    store.give(given_slice.key, given_slice)
    assert store.drain() == ((given_slice,), ())
    store.give(given_slice.key, None)
    assert store.drain() == ((made,), ())


def test_a_made_slice_says_when_it_was_triggered_and_keeps_that_while_it_is_the_same() -> None:
    store, made = SliceStore(), endpoint_slice("a")
    store.make(OWNER, [made], "2026-03-01T00:00:00Z")
    ((first,), _) = store.drain()
    assert first.metadata.annotations == {LAST_CHANGE_TRIGGER_TIME: "2026-03-01T00:00:00Z"}
    for triggered in ("2026-03-01T00:00:09Z", ""):
        store.make(OWNER, [made], triggered)
        assert store.drain() == ((), ())
    other = endpoint_slice("a", "IPv6")
    store.make(OWNER, [other], "2026-03-01T00:00:09Z")
    ((second,), _) = store.drain()
    assert second.metadata.annotations == {LAST_CHANGE_TRIGGER_TIME: "2026-03-01T00:00:09Z"}
    store.make(OWNER, [made])
    assert store.drain() == ((made,), ())


NAMES = st.sampled_from("abcd")
FAMILIES = st.sampled_from(["IPv4", "IPv6"])
STEPS = st.lists(
    st.tuples(st.just("give"), NAMES, FAMILIES | st.none())
    | st.tuples(st.just("make"), st.just(""), st.dictionaries(NAMES, FAMILIES))
    | st.tuples(st.just("drain"), st.just(""), st.none()),
    max_size=40,
)


@given(STEPS)
def test_the_sum_of_all_reports_is_what_is_in_force(steps: list[tuple[str, str, object]]) -> None:
    store, seen = SliceStore(), dict[str, str]()
    given_slices, made = dict[str, str](), dict[str, str]()
    for kind, name, argument in [*steps, ("drain", "", None)]:
        if kind == "give":
            given_slices.pop(name, None)
            family = argument if isinstance(argument, str) else None
            given_slices |= {name: family} if family else {}
            store.give(("default", name), endpoint_slice(name, family) if family else None)
        elif kind == "make":
            made = dict(argument) if isinstance(argument, dict) else {}
            store.make(OWNER, [endpoint_slice(name, family) for name, family in made.items()])
        else:
            changed, removed = store.drain()
            assert all(seen.get(item.metadata.name) != item.address_type for item in changed)
            seen |= {item.metadata.name: item.address_type for item in changed}
            for _, gone in removed:
                del seen[gone]
            assert seen == made | given_slices
