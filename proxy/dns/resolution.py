"""Resolutions: what upstream said about a name, and for how long that may be repeated.

Invariant: a resolution is repeated with its times to live counted down, and never after one of them has run out (RFC
1035, 3.2.1; RFC 2308, 5); memory is bounded.
"""

from collections import OrderedDict
from collections.abc import Hashable

import msgspec

from proxy.dns.answer import Record
from proxy.dns.record_types import ANY, NOERROR, NXDOMAIN, SOA

LONGEST_KEPT = 3600.0
LONGEST_ABSENCE = 300.0
MOST_ENTRIES = 2_000
_MOST_BYTES = 4_096


class Resolution(msgspec.Struct, frozen=True):
    """A response's code and records; `authentic` is its AD bit."""

    rcode: int
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    authentic: bool = False


class ResolutionCache:
    """The least recently used leave first. The clock is the caller's, in seconds."""

    def __init__(self, entries: int = MOST_ENTRIES) -> None:
        self._most = entries
        self._kept: OrderedDict[Hashable, tuple[float, float, Resolution]] = OrderedDict()

    def get(self, key: Hashable, now: float) -> Resolution | None:
        """What was said, as it is now; None if it is not known or too old."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        since, until, resolution = kept
        if now >= until:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return _aged(resolution, int(now - since))

    def put(self, key: Hashable, record_type: int, resolution: Resolution, now: float) -> None:
        """Remember what upstream said, if that may be."""
        seconds = lifetime(record_type, resolution)
        if seconds <= 0 or _size(resolution) > _MOST_BYTES:
            return
        self._kept[key] = (now, now + seconds, resolution)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


def lifetime(record_type: int, resolution: Resolution) -> float:
    """For how many seconds the resolution may be repeated; 0 for not at all."""
    if resolution.rcode not in (NOERROR, NXDOMAIN):
        return 0.0
    limits = [float(each.ttl) for each in resolution.answer]
    found = record_type == ANY or any(each.record_type == record_type for each in resolution.answer)
    if resolution.rcode == NXDOMAIN or not found:
        limits.append(_absence(resolution))
    return min(LONGEST_KEPT, *limits) if limits else 0.0


def _absence(resolution: Resolution) -> float:
    """By the SOA record of a negative answer; without one it may not be remembered."""
    for each in resolution.authority:
        if each.record_type == SOA:
            return float(min(each.ttl, int.from_bytes(each.data[-4:]), LONGEST_ABSENCE))
    return 0.0


def _aged(resolution: Resolution, seconds: int) -> Resolution:
    if not seconds:
        return resolution
    answer, authority = (
        tuple(msgspec.structs.replace(each, ttl=max(0, each.ttl - seconds)) for each in section)
        for section in (resolution.answer, resolution.authority)
    )
    return msgspec.structs.replace(resolution, answer=answer, authority=authority)


def _size(resolution: Resolution) -> int:
    """Of the message, about: what is longer is rare, and must not fill the memory."""
    return sum(len(each.owner) + len(each.data) + 12 for each in (*resolution.answer, *resolution.authority))
