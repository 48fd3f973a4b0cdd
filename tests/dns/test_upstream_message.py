"""What goes upstream is an ordinary question in a spelling that nobody foresees."""

from random import Random

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dns.incoming_message import MalformedMessageError
from proxy.dns.question import Question, read_question
from proxy.dns.upstream_message import Verdict, completed, judge, read_response, upstream_query
from proxy.dns.wire_name import wire_name
from tests.dns.written_messages import Given, message, records

WWW = wire_name("www.example.com")


@given(st.integers(1, 65535), st.booleans(), st.booleans(), st.integers())
def test_dnspython_reads_the_question(record_type: int, dnssec_ok: bool, checking_disabled: bool, seed: int) -> None:
    query = upstream_query(WWW, record_type, dnssec_ok, checking_disabled, Random(seed))
    read = dns.message.from_wire(query.data) if record_type not in (249, 250) else None
    if read is None:
        return
    (question,) = read.question
    assert question.name.canonicalize().to_text() == "www.example.com."
    assert (question.name.to_wire(), int(question.rdtype)) == (query.spelling, record_type)
    assert (read.edns, read.payload) == (0, 1232)
    assert bool(read.ednsflags & dns.flags.DO) == dnssec_ok
    assert read.flags == dns.flags.RD | (dns.flags.CD if checking_disabled else 0)


def test_no_two_questions_are_alike() -> None:
    random = Random(1)
    queries = [upstream_query(WWW, 1, False, False, random) for _ in range(50)]
    assert len({query.data[:2] for query in queries}) > 45
    assert len({query.spelling for query in queries}) > 45
    assert {query.spelling.lower() for query in queries} == {WWW + b"\0"}


@pytest.mark.parametrize("size", [0, 1, 11])
def test_less_than_a_header_is_no_response(size: int) -> None:
    query = upstream_query(WWW, 1, False, False, Random(1))
    assert judge(query, query.data[:size]) is Verdict.FOREIGN


@given(st.binary(max_size=60))
def test_no_bytes_raise(data: bytes) -> None:
    query = upstream_query(WWW, 1, False, False, Random(1))
    counts = b"\x80\0\0\1\0\1\0\1\0\1"
    for each in (data, query.data[:2] + data, query.data[:2] + counts + query.asked + data):
        verdict = judge(query, each)
        if verdict is Verdict.OURS:
            try:
                resolution = read_response(query, each)
            except MalformedMessageError:
                continue
            dns.message.from_wire(completed(asked(), None, resolution, 512))


def asked() -> Question:
    question = read_question(dns.message.make_query("WWW.Example.com.", "A", use_edns=0, payload=4096).to_wire())
    assert question is not None
    return question


@given(records, records, st.sampled_from([512, 1232, 65535]))
def test_the_client_gets_what_upstream_said(answers: Given, authority: Given, limit: int) -> None:
    query = upstream_query(WWW, 1, False, False, Random(1))
    written = message("www.example.com.", answers, authority).to_wire()
    said = dns.message.from_wire(written)
    resolution = read_response(query, query.data[:2] + written[2:12] + query.asked + written[12 + len(query.asked) :])
    data = completed(asked(), None, resolution, limit)
    assert len(data) <= limit
    received = dns.message.from_wire(data)
    assert received.question[0].name.to_text() == "WWW.Example.com."
    if limit == 65535:
        assert values(received.answer) == values(said.answer)
        assert values(received.authority) == values(said.authority)
    else:
        assert values(received.answer) <= values(said.answer)
        assert bool(received.flags & dns.flags.TC) == (values(received.answer) != values(said.answer))


def values(section: list[dns.rrset.RRset]) -> set[tuple[str, int, str]]:
    return {
        (each.name.to_text().lower(), int(each.rdtype), value.to_text().lower()) for each in section for value in each
    }
