"""The store against a reference that keeps the whole history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.problem import Problem
from proxy.sources.kubernetes_api.object_store import ObjectStore, Observed, is_newer


def observed(name: str, version: int, item: str | None = "") -> Observed[str]:
    text = f"{name}@{version}" if item == "" else item
    return Observed(("default", name), str(version), text, None if text else Problem(f"bad {name}@{version}"))


def test_what_changed_is_told_once() -> None:
    store: ObjectStore[str] = ObjectStore()
    store.put(observed("a", 1))
    store.put(observed("a", 2))
    assert store.drain() == {("default", "a"): "a@2"}
    assert store.drain() == {}
    store.remove(("default", "a"), "3")
    assert store.drain() == {("default", "a"): None}


def test_an_older_version_changes_nothing() -> None:
    store: ObjectStore[str] = ObjectStore()
    store.put(observed("a", 9))
    store.put(observed("a", 8))
    store.remove(("default", "a"), "7")
    assert list(store.items) == ["a@9"]


def test_a_deleted_object_is_not_revived_by_an_older_version_but_by_a_newer_one() -> None:
    store: ObjectStore[str] = ObjectStore()
    store.put(observed("a", 1))
    store.remove(("default", "a"), "5")
    store.put(observed("a", 4))
    assert list(store.items) == []
    store.put(observed("a", 6))
    assert list(store.items) == ["a@6"]


def test_a_malformed_version_takes_the_object_away_and_says_why() -> None:
    store: ObjectStore[str] = ObjectStore()
    store.put(observed("a", 1))
    store.drain()
    store.put(observed("a", 2, None))
    assert store.drain() == {("default", "a"): None}
    assert [problem.message for problem in store.problems] == ["bad a@2"]
    store.put(observed("a", 3))
    assert store.drain() == {("default", "a"): "a@3"}
    assert store.problems == ()


def test_a_malformed_object_that_was_never_known_is_no_change() -> None:
    store: ObjectStore[str] = ObjectStore()
    store.put(observed("a", 1, None))
    store.remove(("default", "a"), "2")
    assert store.drain() == {}
    assert store.problems == ()


def test_a_complete_list_keeps_equal_objects_as_they_are() -> None:
    store: ObjectStore[str] = ObjectStore()
    kept = "".join(["sa", "me"])
    store.replace({("default", name): observed(name, 1, kept) for name in "ab"})
    store.drain()
    store.replace({("default", "a"): observed("a", 2, "".join(["sam", "e"])), ("default", "c"): observed("c", 2)})
    assert store.drain() == {("default", "b"): None, ("default", "c"): "c@2"}
    assert next(iter(store.items)) is kept


def test_a_list_is_taken_even_where_its_versions_went_back() -> None:
    store: ObjectStore[str] = ObjectStore()
    store.put(observed("a", 900))
    store.remove(("default", "b"), "901")
    store.replace({("default", "a"): observed("a", 3), ("default", "b"): observed("b", 4)})
    assert sorted(store.items) == ["a@3", "b@4"]


EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "bad", "remove"])), max_size=12)


@given(EVENTS, st.randoms(), st.lists(st.integers(0, 40), max_size=6))
def test_any_order_and_repetition_of_events_ends_in_the_same_state(
    history: list[tuple[str, str]], random: object, drains: list[int]
) -> None:
    events = [(name, kind, version) for version, (name, kind) in enumerate(history, start=1)]
    told = events * 2
    random.shuffle(told)  # type: ignore[attr-defined]
    store: ObjectStore[str] = ObjectStore()
    summed: dict[tuple[str, str], str | None] = {}
    for index, (name, kind, version) in enumerate(told):
        if kind == "remove":
            store.remove(("default", name), str(version))
        else:
            store.put(observed(name, version, None if kind == "bad" else ""))
        if index in drains:
            summed |= store.drain()
    summed |= store.drain()
    last = {name: (kind, version) for name, kind, version in events}
    expected = {("default", name): f"{name}@{version}" for name, (kind, version) in last.items() if kind == "put"}
    assert {key: item for key, item in summed.items() if item is not None} == expected
    assert set(store.items) == set(expected.values())
    assert len(store.problems) == sum(kind == "bad" for kind, _ in last.values())


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [("10", "9", True), ("9", "10", False), ("9", "9", False), ("b", "a", True), ("a", "a", False), ("1", "", True)],
)
def test_numbers_are_compared_as_numbers(version: str, than: str, newer: bool) -> None:
    assert is_newer(version, than) is newer
