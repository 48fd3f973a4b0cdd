"""The verifier's refusal is one line."""

import pytest

from proxy.bpf.assembler import assemble
from proxy.bpf.bpf_error import BpfError
from proxy.bpf.instruction import Register, leave, move
from proxy.bpf.program import last_words, load_socket_lookup
from proxy.bpf.socket_lookup import SocketLookup


def test_the_last_words_are_the_instruction_and_the_sentence_about_it() -> None:
    log = "0: R1=ctx() R10=fp0\n0: (bf) r0 = r5\nR5 !read_ok\nprocessed 1 insns (limit 1000000)\n"
    assert last_words(log) == "the kernel's verifier refuses it: 0: (bf) r0 = r5 / R5 !read_ok"


def test_an_empty_log_has_no_words() -> None:
    assert last_words("") == ""


def test_a_program_that_the_verifier_refuses_is_one_line_with_its_reason(lookup: SocketLookup) -> None:
    with pytest.raises(BpfError, match=r"cannot load the BPF program wrong: .*R5 !read_ok") as raised:
        load_socket_lookup("wrong", assemble([move(Register.RESULT, Register.FIVE), leave()]))
    assert "\n" not in str(raised.value)
