"""The table of a relay's states: every way leads to the end, once, and the documentation draws it."""

from itertools import product
from pathlib import Path

import pytest

from proxy.dataplane.relay_state import TRANSITIONS, RelayEvent, RelayState, after, diagram


def test_whatever_ends_a_relay_ends_it_from_every_state_but_the_last() -> None:
    ending = {state for state, following in TRANSITIONS.items() if following.get(RelayEvent.ENDED) == RelayState.OVER}
    assert ending == set(RelayState) - {RelayState.OVER}
    assert not TRANSITIONS[RelayState.OVER]


def test_every_state_is_reached_from_the_first() -> None:
    reached = {RelayState.ACCEPTED}
    for _ in RelayState:
        reached |= {following for state in reached for following in TRANSITIONS[state].values()}
    assert reached == set(RelayState)


@pytest.mark.parametrize(("state", "event"), list(product(RelayState, RelayEvent)))
def test_an_event_that_cannot_come_is_a_defect(state: RelayState, event: RelayEvent) -> None:
    if event in TRANSITIONS[state]:
        assert after(state, event) == TRANSITIONS[state][event]
    else:
        with pytest.raises(RuntimeError, match=f"{state.name} was told of {event.name}"):
            after(state, event)


def test_the_architecture_shows_the_table() -> None:
    assert diagram() in (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text()
