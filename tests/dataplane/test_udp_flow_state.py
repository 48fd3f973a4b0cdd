"""The table of what each event makes of a UDP flow."""

from itertools import product

import pytest

from proxy.dataplane.udp_flow_state import TRANSITIONS, FlowEvent, FlowState


def test_every_event_is_foreseen_in_every_state() -> None:
    assert {(state, event) for state, row in TRANSITIONS.items() for event in row} == set(product(FlowState, FlowEvent))


def test_a_flow_that_is_over_stays_over() -> None:
    assert set(TRANSITIONS[FlowState.OVER].values()) == {FlowState.OVER}


@pytest.mark.parametrize("state", [FlowState.UNANSWERED, FlowState.ANSWERED])
def test_a_lost_datagram_changes_nothing_and_a_refusal_ends(state: FlowState) -> None:
    assert TRANSITIONS[state][FlowEvent.LOSS] is state
    assert TRANSITIONS[state][FlowEvent.REFUSAL] is TRANSITIONS[state][FlowEvent.END] is FlowState.OVER


def test_only_an_answer_makes_a_flow_answered() -> None:
    assert [
        (state, event) for state, row in TRANSITIONS.items() for event, then in row.items() if then is not state
    ] == [
        (FlowState.UNANSWERED, FlowEvent.ANSWER),
        (FlowState.UNANSWERED, FlowEvent.REFUSAL),
        (FlowState.UNANSWERED, FlowEvent.END),
        (FlowState.ANSWERED, FlowEvent.REFUSAL),
        (FlowState.ANSWERED, FlowEvent.END),
    ]
