"""Messages are read as dnspython reads them, and what is no message is told so, at a bounded cost."""

import struct
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dns import incoming_message
from proxy.dns.incoming_message import EDNS, IncomingMessage, IncomingRecord, MalformedMessageError, read_message
from tests.dns.written_messages import Given, message, names, records

HEADER = struct.Struct("!HHHHHH")
QUESTION = b"\3www\7example\0\0\1\0\1"


def shown(name: bytes) -> str:
    return dns.name.from_wire(name + b"\0", 0)[0].to_text().lower()


def told(section: tuple[IncomingRecord, ...]) -> list[tuple[str, int, int, str]]:
    """The records as dnspython prints them: it must understand the data, whose names are no longer compressed."""
    return [
        (
            shown(each.owner),
            each.record_type,
            each.ttl,
            dns.rdata.from_wire("IN", type_of(each), each.data, 0, len(each.data)).to_text().lower(),
        )
        for each in section
    ]


def type_of(record: IncomingRecord) -> dns.rdatatype.RdataType:
    assert record.record_class == 1
    return dns.rdatatype.RdataType.make(record.record_type)


def expected(section: list[dns.rrset.RRset]) -> Iterator[tuple[str, int, int, str]]:
    for each in section:
        for value in each:
            yield each.name.to_text().lower(), int(each.rdtype), each.ttl, value.to_text().lower()


@given(names, st.tuples(records, records, records))
def test_a_message_is_what_dnspython_wrote(question: str, sections: tuple[Given, Given, Given]) -> None:
    written = message(question, *sections)
    found = read_message(written.to_wire())
    assert shown(found.name) == question.lower()
    assert (found.record_type, found.record_class, found.edns) == (1, 1, None)
    assert HEADER.unpack_from(written.to_wire())[:2] == (written.id, found.flags)
    assert told(found.answer) == list(expected(written.answer))
    assert told(found.authority) == list(expected(written.authority))
    assert told(found.additional) == list(expected(written.additional))


def test_what_is_part_of_the_question_has_not_its_spelling() -> None:
    written = message("wWw.eXamPLE.", [("wWw.eXamPLE.", 5, ("CNAME", "Other.eXamPLE."))]).to_wire()
    found = read_message(written)
    (alias,) = found.answer
    assert found.name == b"\3wWw\7eXamPLE"
    assert found.asked == b"\3wWw\7eXamPLE\0\0\1\0\1"
    assert alias.owner == b"\3www\7example"
    assert alias.host == b"\5Other\7example"
    assert alias.data == alias.host + b"\0"


def test_edns_is_told_and_is_no_record() -> None:
    query = dns.message.make_query("a.", "A", use_edns=3, payload=700, want_dnssec=True, options=[])
    query.set_rcode(16)  # type: ignore[arg-type]
    query.use_edns(3, dns.flags.DO | 1 << 24 | 3 << 16, 700)
    assert read_message(query.to_wire())[-2:] == ((), EDNS(700, 3, 1, True))


def built(*counts: int, body: bytes = b"", questions: int = 1) -> bytes:
    return HEADER.pack(7, 0, questions, *(*counts, 0, 0, 0)[:3]) + body


RECORD = b"\0\1\0\1\0\0\0\5"
"""Type A, class IN and a time to live, to go behind a name and before the length of the data."""
OPT = b"\0\0\x29\4\xd0\0\0\0\0"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 11,
        built(questions=0),
        built(questions=2, body=QUESTION * 2),
        built(),
        built(body=QUESTION[:-1]),
        built(body=QUESTION + b"\0"),
        built(body=b"\xc0\x0c\0\1\0\1"),
        built(body=b"\x40a\0\0\1\0\1"),
        built(body=b"\x80a\0\0\1\0\1"),
        built(body=b"\x3fa\0\0\1\0\1"),
        built(body=b"\1a" * 128 + b"\0\0\1\0\1"),
        built(1, body=QUESTION),
        built(65535, 65535, 65535, body=QUESTION),
        built(1, body=QUESTION + b"\xc0\x0c" + RECORD + b"\0\5abcd"),
        built(1, body=QUESTION + b"\xc0\x0c" + RECORD),
        built(1, body=QUESTION + b"\xc0\x1d" + RECORD + b"\0\0"),
        built(1, body=QUESTION + b"\xc0\x0b" + RECORD + b"\0\0"),
        built(1, body=QUESTION + b"\xc0\xff" + RECORD + b"\0\0"),
        built(1, body=QUESTION + b"\xc0"),
        built(1, body=QUESTION + b"\xc0\x0c\0\5\0\1\0\0\0\5\0\1\xc0\x0c"),
        built(1, body=QUESTION + b"\xc0\x0c\0\5\0\1\0\0\0\5\0\3\xc0\x0c\0"),
        built(1, body=QUESTION + b"\xc0\x0c\0\6\0\1\0\0\0\5\0\x04\xc0\x0c\xc0\x0c"),
        built(1, body=QUESTION + b"\xc0\x0c\0\x21\0\1\0\0\0\5\0\2\0\0"),
        built(1, body=QUESTION + OPT + b"\0\0"),
        built(0, 0, 2, body=QUESTION + (OPT + b"\0\0") * 2),
        built(0, 0, 1, body=QUESTION + b"\1a" + OPT + b"\0\0"),
        built(0, 0, 1, body=QUESTION + OPT + b"\0\3\0\x0a\0"),
        built(0, 0, 1, body=QUESTION + OPT + b"\0\6\0\x0a\0\4ab"),
        built(1, body=QUESTION + (b"\x3f" + b"a" * 63) * 3 + b"\x3c" + b"a" * 60 + b"\xc0\x0c" + RECORD + b"\0\0"),
    ],
)
def test_what_is_no_message_is_told_so(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        read_message(data)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=120).map(lambda body: built(3, 1, 1, body=body))))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        assert isinstance(read_message(data), IncomingMessage)
    except MalformedMessageError:
        return


@given(names, records, st.data())
def test_a_message_that_is_cut_off_is_none(question: str, answers: Given, draw: st.DataObject) -> None:
    whole = message(question, answers).to_wire()
    with pytest.raises(MalformedMessageError):
        read_message(whole[: draw.draw(st.integers(0, len(whole) - 1))])


def test_a_time_to_live_below_zero_is_none() -> None:
    body = QUESTION + b"\xc0\x0c\0\1\0\1\xff\xff\xff\xff\0\4abcd"
    assert read_message(built(1, body=body)).answer[0].ttl == 0


def test_names_that_lead_to_names_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 KB of records that each point to names of 120 labels: one look a name, not one a label."""
    looks = 0
    original = incoming_message._Reader._name_at

    def counted(self: object, start: int, pointers: int) -> tuple[bytes, int]:
        nonlocal looks
        looks += 1
        return original(self, start, pointers)  # type: ignore[arg-type]

    monkeypatch.setattr(incoming_message._Reader, "_name_at", counted)
    question = b"\1a" * 120 + b"\0\0\1\0\1"
    number = (4096 - HEADER.size - len(question)) // 14
    body = question + b"\xc0\x0c\0\5\0\1\0\0\0\0\0\2\xc0\x0c" * number
    assert len(read_message(built(number, body=body)).answer) == number
    assert looks == 1 + 2 * number


def test_a_long_chain_of_pointers_is_no_name() -> None:
    """Each leads back, none says anything: an honest one needs one or two."""
    first = HEADER.size + len(QUESTION) + 11  # the data of a TXT record
    places = [12, *range(first, first + 200, 2)]
    chain = b"".join(struct.pack("!H", 0xC000 | place) for place in places)
    text = b"\0\0\x10\0\1\0\0\0\5" + struct.pack("!H", len(chain) - 2) + chain
    with pytest.raises(MalformedMessageError, match="lead back"):
        read_message(built(2, body=QUESTION + text + RECORD + b"\0\0"))
