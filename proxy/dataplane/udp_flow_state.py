"""What a UDP flow can be, and what each event makes of it. Pure; a table, which the flow only follows.

Invariant: a flow that is over stays over, whatever still comes.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class FlowState(enum.Enum):
    """UNANSWERED: its upstream has said nothing yet, which is as it should be with many. ANSWERED: it has. OVER: the
    socket is closed and the flow is counted."""

    UNANSWERED = "unanswered"
    ANSWERED = "answered"
    OVER = "over"


class FlowEvent(enum.Enum):
    """ANSWER: a datagram of the upstream's. LOSS: a datagram that could not be sent, or that the path was too narrow
    for. REFUSAL: nobody is on the upstream's port. END: somebody else's decision, such as an idle limit."""

    ANSWER = "answer"
    LOSS = "loss"
    REFUSAL = "refusal"
    END = "end"


TRANSITIONS: Final[Mapping[FlowState, Mapping[FlowEvent, FlowState]]] = MappingProxyType(
    {
        FlowState.UNANSWERED: MappingProxyType(
            {
                FlowEvent.ANSWER: FlowState.ANSWERED,
                FlowEvent.LOSS: FlowState.UNANSWERED,
                FlowEvent.REFUSAL: FlowState.OVER,
                FlowEvent.END: FlowState.OVER,
            }
        ),
        FlowState.ANSWERED: MappingProxyType(
            {
                FlowEvent.ANSWER: FlowState.ANSWERED,
                FlowEvent.LOSS: FlowState.ANSWERED,
                FlowEvent.REFUSAL: FlowState.OVER,
                FlowEvent.END: FlowState.OVER,
            }
        ),
        FlowState.OVER: MappingProxyType(dict.fromkeys(FlowEvent, FlowState.OVER)),
    }
)
