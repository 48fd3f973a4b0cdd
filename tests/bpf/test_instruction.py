"""Instructions, byte for byte as the kernel's documentation has them."""

import pytest

from proxy.bpf import instruction
from proxy.bpf.instruction import Helper, Instruction, Register

ONE, TWO, SIX, FRAME = Register.ONE, Register.TWO, Register.SIX, Register.FRAME


@pytest.mark.parametrize(
    ("made", "golden"),
    [
        (instruction.move(SIX, ONE), "bf16000000000000"),
        (instruction.move_immediate(Register.RESULT, 1), "b700000001000000"),
        (instruction.move_immediate(Register.RESULT, -1), "b7000000ffffffff"),
        (instruction.add_immediate(TWO, -24), "07020000e8ffffff"),
        (instruction.bitwise_or(Register.EIGHT, Register.NINE), "4f98000000000000"),
        (instruction.bitwise_or_immediate(Register.EIGHT, 3), "4708000003000000"),
        (instruction.shift_left(Register.NINE, 16), "6709000010000000"),
        (instruction.load_word(ONE, SIX, 40), "6161280000000000"),
        (instruction.store_word(FRAME, -24, ONE), "631ae8ff00000000"),
        (instruction.store_word_immediate(FRAME, -48, 64), "620ad0ff40000000"),
        (instruction.clear_double_word(FRAME, -16), "7a0af0ff00000000"),
        (instruction.load_map(ONE, 5), "18110000050000000000000000000000"),
        (instruction.call(Helper.SOCKET_ASSIGN), "850000007c000000"),
        (instruction.leave(), "9500000000000000"),
    ],
)
def test_an_instruction_has_its_documented_bytes(made: Instruction, golden: str) -> None:
    assert made.encoded().hex() == golden


@pytest.mark.parametrize(
    ("made", "golden"),
    [
        (instruction.jump("there"), "0500030000000000"),
        (instruction.jump_if_equal(Register.SEVEN, 10, "there"), "150703000a000000"),
        (instruction.jump_if_not_equal(Register.RESULT, 0, "there"), "5500030000000000"),
    ],
)
def test_a_jump_carries_its_distance(made: Instruction, golden: str) -> None:
    assert made.target == "there"
    assert made.encoded(3).hex() == golden
