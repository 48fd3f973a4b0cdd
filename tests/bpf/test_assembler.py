"""Labels become distances."""

import pytest

from proxy.bpf.assembler import assemble
from proxy.bpf.instruction import Label, Register, jump, jump_if_equal, leave, load_map, move_immediate

RESULT = Register.RESULT


def distances(program: bytes) -> list[int]:
    return [
        int.from_bytes(program[place + 2 : place + 4], "little", signed=True) for place in range(0, len(program), 8)
    ]


def test_a_jump_skips_what_lies_between_it_and_its_label() -> None:
    program = assemble([jump("end"), move_immediate(RESULT, 1), move_immediate(RESULT, 2), Label("end"), leave()])
    assert distances(program) == [2, 0, 0, 0]


def test_loading_a_map_takes_two_slots() -> None:
    program = assemble([jump_if_equal(RESULT, 0, "end"), load_map(Register.ONE, 7), Label("end"), leave()])
    assert len(program) == 4 * 8
    assert distances(program)[0] == 2


def test_a_jump_may_lead_to_the_next_instruction_or_back() -> None:
    program = assemble([Label("again"), move_immediate(RESULT, 0), jump("next"), Label("next"), jump("again")])
    assert distances(program) == [0, 0, -3]


def test_a_jump_to_nowhere_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="'nowhere'"):
        assemble([jump("nowhere")])


def test_a_label_is_there_once() -> None:
    with pytest.raises(ValueError, match="'here' is there twice"):
        assemble([Label("here"), Label("here")])
