"""Questions: the ordinary ones are recognised here, byte by byte; everything else goes the long way (unusual.py).

Invariant: what is recognised is well-formed to its last byte: one question of class IN, no compression, and at most one
OPT record with well-formed options.
"""

import struct
from typing import NamedTuple

from proxy.dns.record_types import META_TYPES
from proxy.dns.wire_name import LONGEST_LABEL, LONGEST_NAME, WireName

HEADER_BYTES = 12
RESPONSE, AUTHORITATIVE, TRUNCATED, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
AUTHENTIC, CHECKING_DISABLED = 0x0020, 0x0010
ORDINARY_FLAGS = RECURSION_DESIRED | AUTHENTIC | CHECKING_DISABLED
SENT_BACK_FLAGS = RECURSION_DESIRED | CHECKING_DISABLED
_DNSSEC_OK = 0x8000
_IN, _OPT = 1, 41
_HEADER = struct.Struct("!HHHHHH")
_TYPE_AND_CLASS = struct.Struct("!HH")
_OPT_RECORD = struct.Struct("!BHHBBHH")
_OPTION = struct.Struct("!HH")


class Question(NamedTuple):
    """What one message asks. `asked` are its bytes after the header up to the end of the question, case and all.

    `payload` is the client's EDNS buffer size, 0 without EDNS. `has_options` says that the OPT record is unlike that
    of the same client's next question.
    """

    identity: bytes
    flags: int
    name: WireName
    record_type: int
    asked: bytes
    payload: int
    dnssec_ok: bool
    has_options: bool

    @property
    def recursion_desired(self) -> bool:
        return bool(self.flags & RECURSION_DESIRED)


def read_question(data: bytes) -> Question | None:
    """The question, or None for a message that is not an ordinary one."""
    if len(data) < HEADER_BYTES + 5:
        return None
    _, flags, questions, answers, authority, additional = _HEADER.unpack_from(data)
    if flags & ~ORDINARY_FLAGS or questions != 1 or answers or authority or additional > 1:
        return None
    end = _end_of_name(data)
    if not end or end + 4 > len(data):
        return None
    record_type, record_class = _TYPE_AND_CLASS.unpack_from(data, end)
    if record_class != _IN or record_type in META_TYPES:
        return None
    options = _read_options(data, end + 4) if additional else _Options(0, False, False)
    if options is None or (not additional and len(data) != end + 4):
        return None
    name = data[HEADER_BYTES : end - 1].lower()
    return Question(data[:2], flags, name, record_type, data[HEADER_BYTES : end + 4], *options)


class _Options(NamedTuple):
    payload: int
    dnssec_ok: bool
    has_options: bool


def _end_of_name(data: bytes) -> int:
    """The position after the root's zero, or 0 for a name that is compressed, too long or cut off."""
    position, size = HEADER_BYTES, len(data)
    while position < size and data[position]:
        if data[position] > LONGEST_LABEL:
            return 0
        position += data[position] + 1
    return position + 1 if position < size and position - HEADER_BYTES <= LONGEST_NAME else 0


def _read_options(data: bytes, start: int) -> _Options | None:
    """The OPT record (RFC 6891) that fills the message from `start` to its end; None if it is anything else."""
    if start + _OPT_RECORD.size > len(data):
        return None
    root, record_type, payload, extended, version, flags, length = _OPT_RECORD.unpack_from(data, start)
    position = start + _OPT_RECORD.size
    if root or record_type != _OPT or extended or version or position + length != len(data):
        return None
    while position < len(data):
        if position + _OPTION.size > len(data):
            return None
        position += _OPTION.size + _OPTION.unpack_from(data, position)[1]
    return _Options(max(payload, 1), bool(flags & _DNSSEC_OK), length > 0) if position == len(data) else None
