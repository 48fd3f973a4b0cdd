"""What goes upstream is an ordinary question in a spelling that nobody foresees."""

from random import Random

import dns.flags
import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dns.upstream_message import Verdict, judge, upstream_query
from proxy.dns.wire_name import wire_name

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
    for each in (data, query.data[:2] + data, query.data[:2] + b"\x80\0" + data):
        assert isinstance(judge(query, each), Verdict)
