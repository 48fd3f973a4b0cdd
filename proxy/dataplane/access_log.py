"""The access log: one line a flow, written when it ends.

Lines are gathered and written once a tick, since a write per connection would cost as much as reading its request.
Invariants: every flow that was accepted has exactly one line, with a reason from the closed list, unless only a share
of the ordinary endings was asked for or nobody takes the lines; no flow waits for a line to be written.
"""

import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from time import time
from typing import Protocol

import msgspec

from proxy.dataplane.close_reason import CloseReason
from proxy.line_output import LineOutput
from proxy.plain_text import plain

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

    time: str
    event: str
    protocol: str
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


class Output(Protocol):
    """Where lines go. `dropped` counts those that were lost, `error` is why the last ones were."""

    dropped: int
    error: str | None

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, each with its end, without waiting for anybody."""

    def close(self) -> None: ...


class AccessLog:
    """Writes records as JSON lines or as `name=value` pairs for people. Of the ordinary endings it tells the share
    `sample`, from 0 to 1, drawn for each flow."""

    def __init__(self, output: Output, json: bool, sample: float = 1.0, random: Random | None = None) -> None:
        self._output = output
        self._dropped_before = 0
        self._sample = sample
        self._random = random or Random()
        self._render = _json_line if json else _human_line
        self._lines: list[bytes] = []
        self._failing = False

    @property
    def dropped(self) -> int:
        """How many lines were lost."""
        return self._dropped_before + self._output.dropped

    def wants(self, reason: CloseReason) -> bool:
        """Whether the line of a flow that ended so shall be written; a draw, so ask once a flow."""
        return self._sample >= 1.0 or reason not in _ORDINARY or self._random.random() < self._sample

    def write(self, record: FlowRecord, reason: CloseReason) -> None:
        """Keep the line of a flow that ended until the next flush."""
        self._lines.append(self._render(_line(record, reason)).encode())

    def flush(self) -> None:
        """Write what was gathered. An output that takes nothing costs the lines and no connection; it is reported once
        until it recovers."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        self._output.write(lines)
        error = self._output.error
        if error is not None and not self._failing:
            _log.error(f"the access log cannot be written, and lines are dropped: {error}")
        self._failing = error is not None

    def go_over_to(self, output: Output) -> None:
        """Write to another output from now on; what was gathered is written to the one before."""
        self.flush()
        self._output.close()
        self._dropped_before += self._output.dropped
        self._output = output

    def close(self) -> None:
        """Write what was gathered, and let go of the output."""
        self.flush()
        self._output.close()


def access_log_to(descriptor: int, log_format: str, sample: float) -> AccessLog:
    """An access log that writes to a descriptor, which stays the caller's."""
    is_json = log_format == "json" or (log_format == "auto" and not os.isatty(descriptor))
    return AccessLog(LineOutput(descriptor), is_json, sample)


def _line(record: FlowRecord, reason: CloseReason) -> AccessLogLine:
    return AccessLogLine(
        time=datetime.fromtimestamp(time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        event="flow",
        protocol=record.frontend.rpartition("/")[2],
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
    text = (
        f"{line.time} {line.client} -> {line.frontend} {line.service} {line.endpoint or '-'} {line.pod or '-'} "
        f"in={line.bytes_in} out={line.bytes_out} connect={connect} duration={line.duration_ms:.2f}ms {line.reason}"
    )
    return f"{plain(text)}\n"
