"""The order of list items after a strategic merge."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.writes.strategic_order import ordered

LETTERS = st.lists(st.sampled_from("abcdef"), unique=True)


def test_named_items_follow_the_order_and_the_rest_stays_where_it_was() -> None:
    assert ordered(list("abcd"), list("ca"), list("abcd"), "") == list("bcad")
    assert ordered(list("abcd"), list("bd"), list("abcd"), "") == list("abcd")


def test_maps_are_told_apart_by_their_key() -> None:
    one, other = {"port": 1, "name": "a"}, {"port": 2}
    assert ordered([one, other], [{"port": 2}, {"port": 1}], [one, other], "port") == [other, one]


@given(LETTERS, LETTERS)
def test_items_only_move_and_each_group_keeps_its_order(original: list[str], order: list[str]) -> None:
    result = ordered(original, order, original, "")
    assert sorted(result) == sorted(original)
    assert [each for each in result if each in order] == [each for each in order if each in original]
    assert [each for each in result if each not in order] == [each for each in original if each not in order]
