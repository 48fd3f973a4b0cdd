"""When a worker is given up, and how soon its successor starts."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.workers.revival import FIRST_PAUSE, LONGEST_PAUSE, LOOKS, STEADY, Silence, pause_after


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=60), st.integers(1, 6))
def test_a_worker_is_given_up_after_so_many_looks_in_a_row_at_which_it_owed_a_sign(
    looks: list[tuple[bool, int]], most: int
) -> None:
    silence, signs, in_a_row = Silence(most), 0, 0
    for owed, new in looks:
        signs += new
        in_a_row = in_a_row + 1 if owed and not new else 0
        assert silence.look(owed, signs) == (in_a_row > most)


def test_one_long_look_is_one_look() -> None:
    """A control process that was stopped for a minute finds its workers silent for a minute, at one look."""
    silence = Silence()
    assert not silence.look(owed=True, signs=7)
    assert not any(silence.look(owed=True, signs=7) for _ in range(LOOKS))
    assert silence.look(owed=True, signs=7)


def test_a_worker_that_dies_again_and_again_is_started_less_and_less_often() -> None:
    pauses = [0.0]
    for restarts in range(1, 12):
        pauses.append(pause_after(pauses[-1], 0.1, restarts))
    assert pauses[1] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert pause_after(LONGEST_PAUSE, STEADY, 12) == 0.0
    assert pause_after(0.0, 0.1, 0) == 0.0
