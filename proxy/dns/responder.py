"""The responder: from the bytes of a message to those of its answer, or to what has to be asked elsewhere first.

No socket and no clock. Invariant: no bytes raise here, memory is bounded, and what is sent is what the index says at
this moment: a message that is kept is sent only while its name has the same records.

A question that came before is recognised by its bytes but for the identity, which takes 1 µs; in another spelling, or
with options of its own, by what it asks (10 µs); a new one is answered in 40 (Python 3.11). What a stranger chooses
multiplies the messages that are written and kept for one name and type by 200 at most (`_Asked`).
"""

from typing import NamedTuple

from proxy.dns.answer import Answer, answer
from proxy.dns.message import LONGEST_MESSAGE, Message, datagram_limit, write, write_error
from proxy.dns.name_index import NameIndex
from proxy.dns.question import SENT_BACK_FLAGS, Question, read_question
from proxy.dns.record_set import RecordSet
from proxy.dns.record_types import REFUSED
from proxy.dns.statistics import QueryCounter, Tally
from proxy.dns.unusual import read_unusual
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
    """A message, the names and the record sets that it holds for, and where it is counted."""

    message: Message
    watched: WireName
    node: RecordSet | None
    also: tuple[tuple[WireName, RecordSet | None], ...]
    tally: Tally


class _Shortcut(NamedTuple):
    """What answers a message with these very bytes: `whole`, or where that is empty the message in turn."""

    watched: WireName
    node: RecordSet | None
    tally: Tally
    whole: bytes
    message: Message
    asked: bytes


_Asked = tuple[WireName, int, int, int, bool, bool]
"""Name, type, flags to send back, most bytes, whether there is EDNS and its DO bit: all that an answer depends on."""


class Responder:
    """Answers the messages of one transport. `recursive`: other zones can be asked about upstream."""

    def __init__(self, index: NameIndex, ttl: int, datagrams: bool, recursive: bool) -> None:
        self._index = index
        self._node_of = index.nodes.get
        self._ttl = ttl
        self._datagrams = datagrams
        self._recursive = recursive
        self._kept: dict[_Asked, _Kept] = {}
        self._shortcuts: dict[bytes, _Shortcut] = {}
        self._kept_bytes = 0
        self._shortcut_bytes = 0
        self.counter = QueryCounter("udp" if datagrams else "tcp")

    @property
    def kept(self) -> int:
        """How many messages are remembered, and how many ways to recognise them."""
        return len(self._kept) + len(self._shortcuts)

    def respond(self, data: bytes) -> bytes | Unfinished | None:
        """The response; or what upstream has to answer; or None where there is nothing to send."""
        known = self._shortcuts.get(data[2:])
        if known is not None and self._node_of(known.watched) is known.node:
            known.tally.number += 1
            if known.whole:
                return data[:2] + known.whole
            return known.message.sent_to(data[:2], known.asked)
        question = read_question(data)
        if question is None:
            return self._unusual(data)
        return self._answered(question, b"" if question.has_options else data[2:])

    def _unusual(self, data: bytes) -> bytes | Unfinished | None:
        found = read_unusual(data)
        if found is None:
            self.counter.dropped += 1
            return None
        if isinstance(found, Question):
            return self._answered(found, b"")
        if found.record_type is None:
            self.counter.count_unreadable(found.rcode)
        else:
            self.counter.count(found.record_type, found.rcode)
        return found.data

    def _answered(self, question: Question, recognised_by: bytes) -> bytes | Unfinished:
        """Answer a question that was read; `recognised_by` are bytes that mean the same next time, or none."""
        limit = datagram_limit(question) if self._datagrams else LONGEST_MESSAGE
        has_edns = question.payload > 0
        flags = question.flags & SENT_BACK_FLAGS
        asked = (question.name, question.record_type, flags, limit, has_edns, question.dnssec_ok)
        kept = self._kept.get(asked)
        if kept is None or not self._holds(kept):
            found = self._find(question, limit)
            if not isinstance(found, _Kept):
                return found
            kept = found
            self._keep(asked, kept)
        if recognised_by and not kept.also:
            self._shorten(recognised_by, kept, question.asked)
        kept.tally.number += 1
        return kept.message.sent_to(question.identity, question.asked)

    def _holds(self, kept: _Kept) -> bool:
        node_of = self._node_of
        return node_of(kept.watched) is kept.node and all(node_of(name) is node for name, node in kept.also)

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
        tally = self.counter.tally(question.record_type, found.rcode)
        return _Kept(message, found.watched, found.node, found.also, tally)

    def _keep(self, asked: _Asked, kept: _Kept) -> None:
        """Remember; when there is too much, everything is forgotten: what is asked often is soon back.

        The shortcuts as well, since they hold messages.
        """
        if len(self._kept) >= KEPT_MESSAGES or self._kept_bytes > KEPT_BYTES:
            self._kept.clear()
            self._kept_bytes = 0
            self._forget_shortcuts()
        self._kept[asked] = kept
        self._kept_bytes += kept.message.bytes_held

    def _shorten(self, recognised_by: bytes, kept: _Kept, asked: bytes) -> None:
        """Remember a message that came, for the next one like it."""
        whole = kept.message.whole(asked)
        if len(self._shortcuts) >= KEPT_MESSAGES or self._shortcut_bytes > KEPT_BYTES:
            self._forget_shortcuts()
        self._shortcuts[recognised_by] = _Shortcut(kept.watched, kept.node, kept.tally, whole, kept.message, asked)
        self._shortcut_bytes += len(recognised_by) + len(whole) + len(asked)

    def _forget_shortcuts(self) -> None:
        self._shortcuts.clear()
        self._shortcut_bytes = 0
