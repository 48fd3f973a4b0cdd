"""What a direction does with each event in each of its states: the table that `direction.py` follows.

Invariant: every state has an answer to every event, and only a state without bytes on their way reads more of them.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class DirectionState(enum.IntEnum):
    """OPEN: nothing is in the way. HOLDING: bytes are held that the target would not take. SPLICING: bytes go through
    a pipe, which is empty. PIPED: the pipe holds bytes that the target would not take. ENDED: the
    source's FIN was passed on. STOPPED: the relay is over."""

    OPEN = 0
    HOLDING = 1
    SPLICING = 2
    PIPED = 3
    ENDED = 4
    STOPPED = 5


class DirectionEvent(enum.IntEnum):
    """READABLE: the source has bytes, a FIN or an error. ROOM: the target takes bytes again. TURN: it has
    the other turn that it asked for."""

    READABLE = 0
    ROOM = 1
    TURN = 2


class Step(enum.IntEnum):
    """What is done. READ moves bytes until the source is empty or the target full, SPLICE does so through the pipe,
    SEND_HELD and EMPTY_PIPE deliver what waits and then read on. LOOK asks the source for an error, if the event told
    of one. WAIT does nothing: another event will come."""

    READ = 0
    SPLICE = 1
    SEND_HELD = 2
    EMPTY_PIPE = 3
    LOOK = 4
    WAIT = 5


_S, _E = DirectionState, DirectionEvent

STEPS: Mapping[DirectionState, Mapping[DirectionEvent, Step]] = MappingProxyType(
    {
        _S.OPEN: {_E.READABLE: Step.READ, _E.ROOM: Step.WAIT, _E.TURN: Step.READ},
        _S.HOLDING: {_E.READABLE: Step.LOOK, _E.ROOM: Step.SEND_HELD, _E.TURN: Step.WAIT},
        _S.SPLICING: {_E.READABLE: Step.SPLICE, _E.ROOM: Step.WAIT, _E.TURN: Step.SPLICE},
        _S.PIPED: {_E.READABLE: Step.LOOK, _E.ROOM: Step.EMPTY_PIPE, _E.TURN: Step.WAIT},
        _S.ENDED: {_E.READABLE: Step.LOOK, _E.ROOM: Step.WAIT, _E.TURN: Step.WAIT},
        _S.STOPPED: {_E.READABLE: Step.WAIT, _E.ROOM: Step.WAIT, _E.TURN: Step.WAIT},
    }
)

STEP_OF: Final = tuple(tuple(int(STEPS[state][event]) for state in DirectionState) for event in DirectionEvent)
"""The same as numbers, by event and then state, for code in which an enumeration's member is a slower constant."""


def diagram() -> str:
    """The table as ARCHITECTURE.md shows it."""
    lines = ["| state | readable | room | turn |", "| --- | --- | --- | --- |"]
    for state, steps in STEPS.items():
        cells = (steps[event].name.lower().replace("_", " ") for event in DirectionEvent)
        lines.append(f"| {state.name.lower()} | {' | '.join(cells)} |")
    return "\n".join(lines)
