"""The access log: one line a flow, written when it ends.

Imports this room. Lines are gathered and written once a tick, since a write per connection would cost as much as
reading its request. Invariants: every flow that was accepted has exactly one line, with a reason from the closed list,
unless only a share of the ordinary endings was asked for; a line is whole, whichever processes write to the same place.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import Random
from select import PIPE_BUF
from time import time
from typing import TextIO

import msgspec

from proxy.dataplane.close_reason import CloseReason

_log = logging.getLogger(__name__)

_ORDINARY = frozenset((CloseReason.CLIENT_CLOSED, CloseReason.BACKEND_CLOSED, CloseReason.IDLE_TIMEOUT))
"""Endings that a sample may leave out; every other one is told, however small the sample."""


class FlowRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One flow up to now. Bytes are those delivered; seconds are monotonic differences; `connect_seconds` is -1
    while no backend has been reached."""

    client: str
    service: str
    frontend: str
    endpoint: str
    pod: str
    received: int
    sent: int
    connect_seconds: float
    seconds: float


class AccessLogLine(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of a line, under the names that they have in JSON; docs/operations.md promises them."""

    time: float
    event: str
    client: str
    service: str
    frontend: str
    endpoint: str
    pod: str
    bytes_in: int
    bytes_out: int
    connect_ms: float | None
    duration_ms: float
    reason: str


class AccessLog:
    """Writes records to a stream, as JSON lines or as `name=value` pairs for people. Of the ordinary endings it tells
    the share `sample`, from 0 to 1, drawn for each flow."""

    def __init__(self, stream: TextIO, json: bool, sample: float = 1.0, random: Random | None = None) -> None:
        self._stream = stream
        self._sample = sample
        self._random = random or Random()
        self._render = _json_line if json else _human_line
        self._lines: list[str] = []
        self._failing = False

    def wants(self, reason: CloseReason) -> bool:
        """Whether the line of a flow that ended so shall be written; a draw, so ask once a flow."""
        return self._sample >= 1.0 or reason not in _ORDINARY or self._random.random() < self._sample

    def write(self, record: FlowRecord, reason: CloseReason) -> None:
        """Keep the line of a flow that ended until the next flush."""
        self._lines.append(self._render(_line(record, reason)))

    def flush(self) -> None:
        """Write what was gathered. A stream that takes nothing costs the lines and no connection; it is reported once
        until it recovers."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            for part in _parts(lines):
                self._stream.write(part)
                self._stream.flush()
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.error(f"the access log cannot be written: {error.strerror}")
            self._failing = True


@contextmanager
def opened_access_log(target: str, log_format: str, sample: float, errors: TextIO) -> Iterator[AccessLog | None]:
    """The access log that the configuration asks for: a path, "-" for `errors`, or empty for none. A file is closed at
    the end. Raises OSError where it cannot be written."""
    if not target:
        yield None
    elif target == "-":
        yield AccessLog(errors, _as_json(log_format, errors), sample)
    else:
        with open(target, "a", encoding="utf-8") as file:
            yield AccessLog(file, _as_json(log_format, file), sample)


def _as_json(log_format: str, stream: TextIO) -> bool:
    return log_format == "json" or (log_format == "auto" and not stream.isatty())


def _parts(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, as many together as a pipe takes without another process's between them."""
    part: list[str] = []
    size = 0
    for line in lines:
        length = len(line.encode())
        if part and size + length > PIPE_BUF:
            yield "".join(part)
            part, size = [], 0
        part.append(line)
        size += length
    yield "".join(part)


def _line(record: FlowRecord, reason: CloseReason) -> AccessLogLine:
    return AccessLogLine(
        time=round(time(), 3),
        event="flow",
        client=record.client,
        service=record.service,
        frontend=record.frontend,
        endpoint=record.endpoint,
        pod=record.pod,
        bytes_in=record.received,
        bytes_out=record.sent,
        connect_ms=round(record.connect_seconds * 1000, 3) if record.connect_seconds >= 0 else None,
        duration_ms=round(record.seconds * 1000, 3),
        reason=reason.value,
    )


def _json_line(line: AccessLogLine) -> str:
    return msgspec.json.encode(line).decode() + "\n"


def _human_line(line: AccessLogLine) -> str:
    connect = "-" if line.connect_ms is None else f"{line.connect_ms:.2f}ms"
    return (
        f"{line.client} -> {line.frontend} {line.service} {line.endpoint or '-'} {line.pod or '-'} "
        f"in={line.bytes_in} out={line.bytes_out} connect={connect} duration={line.duration_ms:.2f}ms {line.reason}\n"
    )
