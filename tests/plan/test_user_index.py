"""Which Services use a thing."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.user_index import UserIndex


def test_what_nobody_uses_has_no_user() -> None:
    assert not UserIndex[str]().of("x")


def test_a_thing_of_several_services_is_kept_until_the_last_leaves() -> None:
    users = UserIndex[str]()
    for name in "ab":
        users.replace(("default", name), set(), {"x"})
    assert set(users.of("x")) == {("default", "a"), ("default", "b")}
    users.replace(("default", "a"), {"x"}, set())
    assert set(users.of("x")) == {("default", "b")}
    users.replace(("default", "b"), {"x"}, set())
    assert not users.of("x")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.frozensets(st.sampled_from("xyz")))))
def test_agrees_with_a_plain_scan(history: list[tuple[str, frozenset[str]]]) -> None:
    users, used = UserIndex[str](), dict[str, frozenset[str]]()
    for service, things in history:
        users.replace(("default", service), used.get(service, frozenset()), things)
        used[service] = things
    for thing in "xyz":
        assert set(users.of(thing)) == {("default", name) for name, things in used.items() if thing in things}
