"""The states of a relay, and what each event makes of them.

Invariant: a relay is over once, whatever ends it, and never comes back.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class RelayState(enum.IntEnum):
    """ACCEPTED: the client is there. DIALLING: an endpoint was asked and has not answered. OPEN: bytes flow both ways.
    HALF_CLOSED: one side has finished. OVER: both sockets are closed and the connection is accounted for."""

    ACCEPTED = 0
    DIALLING = 1
    OPEN = 2
    HALF_CLOSED = 3
    OVER = 4


class RelayEvent(enum.IntEnum):
    """ASKED: a dial has begun whose answer is still to come. ANSWERED: an endpoint took the connection. REFUSED: it
    did not, or not in time. FINISHED: a side's FIN was passed on. ENDED: whatever ends the relay."""

    ASKED = 0
    ANSWERED = 1
    REFUSED = 2
    FINISHED = 3
    ENDED = 4


_S, _E = RelayState, RelayEvent

TRANSITIONS: Mapping[RelayState, Mapping[RelayEvent, RelayState]] = MappingProxyType(
    {
        _S.ACCEPTED: {
            _E.ASKED: _S.DIALLING,
            _E.ANSWERED: _S.OPEN,
            _E.REFUSED: _S.ACCEPTED,
            _E.ENDED: _S.OVER,
        },
        _S.DIALLING: {_E.ANSWERED: _S.OPEN, _E.REFUSED: _S.ACCEPTED, _E.ENDED: _S.OVER},
        _S.OPEN: {_E.FINISHED: _S.HALF_CLOSED, _E.ENDED: _S.OVER},
        _S.HALF_CLOSED: {_E.ENDED: _S.OVER},
        _S.OVER: {},
    }
)
"""What is not here is a defect: no event of its kind can come in that state."""

_IMPOSSIBLE: Final = -1
_NEXT: Final = tuple(
    tuple(int(TRANSITIONS[state].get(event, _IMPOSSIBLE)) for event in RelayEvent) for state in RelayState
)


def after(state: int, event: int) -> int:
    """The state that follows. Raises RuntimeError for an event that cannot come in that state."""
    following = _NEXT[state][event]
    if following == _IMPOSSIBLE:
        raise RuntimeError(f"a relay that is {RelayState(state).name} was told of {RelayEvent(event).name}")
    return following


def diagram() -> str:
    """The table as ARCHITECTURE.md shows it."""
    names = [event.name.lower() for event in RelayEvent]
    lines = [f"| state | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    for state, following in TRANSITIONS.items():
        cells = (following[event].name.lower().replace("_", " ") if event in following else "–" for event in RelayEvent)
        lines.append(f"| {state.name.lower().replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)
