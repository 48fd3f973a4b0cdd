"""The table of a direction's states: complete, and as the documentation draws it."""

from itertools import product
from pathlib import Path

import pytest

from proxy.dataplane.direction_state import STEP_OF, STEPS, DirectionEvent, DirectionState, Step, diagram

READS = {Step.READ, Step.SPLICE}
WAITING = {DirectionState.HOLDING, DirectionState.PIPED}
OVER = {DirectionState.ENDED, DirectionState.STOPPED}


@pytest.mark.parametrize(("state", "event"), list(product(DirectionState, DirectionEvent)))
def test_every_state_answers_every_event(state: DirectionState, event: DirectionEvent) -> None:
    assert STEP_OF[event][state] == STEPS[state][event]


@pytest.mark.parametrize("event", DirectionEvent)
@pytest.mark.parametrize("state", sorted(WAITING | OVER))
def test_nothing_is_read_while_bytes_wait_or_after_the_end(state: DirectionState, event: DirectionEvent) -> None:
    assert STEPS[state][event] not in READS


@pytest.mark.parametrize("state", sorted(WAITING))
def test_room_delivers_what_waits(state: DirectionState) -> None:
    assert STEPS[state][DirectionEvent.ROOM] in {Step.SEND_HELD, Step.EMPTY_PIPE}


def test_the_architecture_shows_the_table() -> None:
    assert diagram() in (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text()
