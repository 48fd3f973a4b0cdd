"""The responder: from the bytes of a message to those of its answer, or to what has to be asked elsewhere first.

Imports this room; no socket and no clock. Invariant: no bytes raise here, memory is bounded, and what is sent is what
the index says at this moment: a message that is kept is sent only while its name has the same records.

A question that was answered before is recognised by its bytes but for identity and case, which takes 3 µs; reading and
answering it takes 20, and the whole way through dnspython 300 (Python 3.11).
"""

from typing import NamedTuple

from proxy.dns.answer import Answer, answer
from proxy.dns.message import LONGEST_MESSAGE, Message, datagram_limit, write, write_error
from proxy.dns.name_index import NameIndex
from proxy.dns.question import HEADER_BYTES, Question, read_question
from proxy.dns.record_set import RecordSet
from proxy.dns.record_types import REFUSED
from proxy.dns.statistics import QueryCounter
from proxy.dns.unusual import Refusal, read_unusual
from proxy.dns.wire_name import WireName

KEPT_MESSAGES = 20_000
KEPT_BYTES = 8 * 1024 * 1024


class Unfinished(NamedTuple):
    """A question for upstream: about `name`, to complete `begun` if that is not None, in at most `limit` bytes.

    `counter` is where the answer is counted.
    """

    question: Question
    name: WireName
    begun: Answer | None
    limit: int
    counter: QueryCounter


class _Kept(NamedTuple):
    """A message, the name and the record set that it holds for, and its labels for the counter.

    A message that is not `lasting` depends on more names.
    """

    message: Message
    watched: WireName
    node: RecordSet | None
    record_type: int
    lasting: bool


_Asked = tuple[WireName, int, int, int, bool, bool]
"""Name, type, flags, most bytes, whether there is EDNS and its DO bit: all that an answer depends on."""

_Bytes = tuple[bytes, bytes, bytes]
"""A message but for its identity and the case of its name: flags and counts, name, the rest."""


class Responder:
    """Answers the messages of one transport. `recursive`: other zones can be asked about upstream."""

    def __init__(self, index: NameIndex, ttl: int, datagrams: bool, recursive: bool) -> None:
        self._index = index
        self._nodes = index.nodes
        self._ttl = ttl
        self._datagrams = datagrams
        self._recursive = recursive
        self._kept: dict[_Asked, _Kept] = {}
        self._shortcuts: dict[_Bytes, _Kept] = {}
        self._kept_bytes = 0
        self.counter = QueryCounter("udp" if datagrams else "tcp")

    @property
    def kept(self) -> int:
        """How many messages are remembered, and how many ways to recognise them."""
        return len(self._kept) + len(self._shortcuts)

    def respond(self, data: bytes) -> bytes | Unfinished | None:
        """The response; or what upstream has to answer; or None where there is nothing to send."""
        end = data.find(b"\0", HEADER_BYTES)
        # Equal keys are equal messages: lower() changes no length byte of a name that was once read as well-formed.
        key = (data[2:HEADER_BYTES], data[HEADER_BYTES:end].lower(), data[end:])
        kept = self._shortcuts.get(key)
        if kept is not None and self._nodes.get(kept.watched) is kept.node:
            self.counter.count(kept.record_type, kept.message.rcode)
            return kept.message.sent_to(data[:2], data[HEADER_BYTES : end + 5])
        question = read_question(data)
        if question is None:
            return self._unusual(data)
        return self._answered(question, None if question.has_options else key)

    def _unusual(self, data: bytes) -> bytes | Unfinished | None:
        found = read_unusual(data)
        if found is None:
            self.counter.dropped += 1
            return None
        if isinstance(found, Refusal):
            self.counter.count_unreadable(found.rcode)
            return found.data
        question = read_question(found)
        if question is None:
            self.counter.dropped += 1
            return None
        return self._answered(question, None)

    def _answered(self, question: Question, shortcut: _Bytes | None) -> bytes | Unfinished:
        """Answer a question that was read; `shortcut` is what recognises the next one like it."""
        limit = datagram_limit(question) if self._datagrams else LONGEST_MESSAGE
        has_edns = question.payload > 0
        asked = (question.name, question.record_type, question.flags, limit, has_edns, question.dnssec_ok)
        kept = self._kept.get(asked)
        if kept is None or self._nodes.get(kept.watched) is not kept.node:
            found = self._find(question, limit)
            if not isinstance(found, _Kept):
                return found
            kept = found
            if kept.lasting:
                self._keep(asked, kept)
        if shortcut is not None and kept.lasting:
            if len(self._shortcuts) >= KEPT_MESSAGES:
                self._shortcuts.clear()
            self._shortcuts[shortcut] = kept
        self.counter.count(kept.record_type, kept.message.rcode)
        return kept.message.sent_to(question.identity, question.asked)

    def _find(self, question: Question, limit: int) -> _Kept | Unfinished | bytes:
        """What the index says, written; or what is still to be asked; or a refusal."""
        found = answer(self._index, question.name, question.record_type, self._ttl)
        name = question.name if found is None else found.continues
        if found is None or name:
            if self._recursive and question.recursion_desired:
                return Unfinished(question, name, found, limit, self.counter)
            if found is None:
                self.counter.count(question.record_type, REFUSED)
                return write_error(question, REFUSED, self._recursive)
        message = write(question, found, limit, self._recursive)
        return _Kept(message, found.watched, found.node, question.record_type, found.lasting)

    def _keep(self, asked: _Asked, kept: _Kept) -> None:
        """Remember; when there is too much, everything is forgotten: what is asked often is soon back."""
        if len(self._kept) >= KEPT_MESSAGES or self._kept_bytes > KEPT_BYTES:
            self._kept.clear()
            self._shortcuts.clear()
            self._kept_bytes = 0
        self._kept[asked] = kept
        self._kept_bytes += kept.message.bytes_held
