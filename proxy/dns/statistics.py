"""What was asked and answered, counted by type and response code.

Invariant: the number of labels is bounded, whatever strangers send.
"""

from collections.abc import Mapping

import msgspec

from proxy.dns.record_types import rcode_name, type_name


class AnswerCount(msgspec.Struct, frozen=True, rename="camel"):
    """Answers of one type and response code over one transport, "udp" or "tcp", since the start."""

    transport: str
    record_type: str
    rcode: str
    answers: int


class DNSStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """All counts since the start, and the sizes of this moment.

    `dropped` are messages that get no answer: responses, fragments of a header, questions beyond what is kept
    waiting. A message that cannot be read counts as of type "none".
    """

    answers: tuple[AnswerCount, ...] = ()
    dropped: int = 0
    forwarded: int = 0
    upstream_failures: int = 0
    upstream_cache_hits: int = 0
    names: int = 0
    tcp_connections: int = 0


class Tally:
    """One count, for whoever counts often."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class QueryCounter:
    """Counts of one transport."""

    def __init__(self, transport: str) -> None:
        self.transport = transport
        self._tallies: dict[tuple[int, int], Tally] = {}
        self._unreadable: dict[int, int] = {}
        self.dropped = 0

    def tally(self, record_type: int, rcode: int) -> Tally:
        """The count of this type and code."""
        key = (record_type if type_name(record_type) != "other" else -1, rcode)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        return tally

    def count(self, record_type: int, rcode: int) -> None:
        self.tally(record_type, rcode).number += 1

    def count_unreadable(self, rcode: int) -> None:
        self._unreadable[rcode] = self._unreadable.get(rcode, 0) + 1

    def counts(self) -> Mapping[tuple[str, str], int]:
        """By type and response code."""
        found: dict[tuple[str, str], int] = {}
        for (record_type, rcode), tally in self._tallies.items():
            key = (type_name(record_type), rcode_name(rcode))
            found[key] = found.get(key, 0) + tally.number
        return found | {("none", rcode_name(rcode)): number for rcode, number in self._unreadable.items()}

    def answers(self) -> tuple[AnswerCount, ...]:
        """Sorted by type and response code."""
        counts = sorted(self.counts().items())
        return tuple(AnswerCount(self.transport, *labels, number) for labels, number in counts)
