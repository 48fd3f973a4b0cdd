"""Logs: one line an event, for a person on a terminal or as JSON for everything else.

Invariants: an event is a fixed short phrase, what varies is in fields; every JSON line has time (RFC 3339, UTC,
milliseconds), level and event, in that order, and no field can take their place; nobody who logs waits for a reader.
"""

import io
import json
import logging
import time
import traceback
from datetime import UTC, datetime
from typing import TextIO

from proxy.line_output import LineOutput
from proxy.plain_text import plain, plain_lines

PACKAGE = "proxy"
CLEAR_LINE = "\r\x1b[K"
"""What makes a terminal forget the line that its cursor is in: a progress bar, as a rule."""
_SHORT_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}


def fields(**values: object) -> dict[str, object]:
    """For `extra`: `logger.info("listening", extra=fields(frontend="127.96.0.12:80/TCP"))`."""
    return {"fields": values}


def configure(format: str, level: str, stream: TextIO) -> None:
    """Send every log line to `stream`.

    `format` is "human", "json" or "auto" (human on a terminal); `level` is "debug", "info", "warning" or "error" and
    applies to this program, while libraries are heard from warnings up.
    """
    human = format == "human" or (format == "auto" and stream.isatty())
    handler = _handler_of(stream)
    before = CLEAR_LINE if stream.isatty() else ""
    handler.setFormatter(HumanFormatter(before) if human else JSONFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(PACKAGE).setLevel(level.upper())


def dropped_lines() -> int:
    """How many log lines of this process were lost because nobody read them."""
    return sum(each.dropped for each in logging.getLogger().handlers if isinstance(each, LineHandler))


class LineHandler(logging.Handler):
    """Writes to an output that never waits, and says afterwards how many lines it lost."""

    def __init__(self, output: LineOutput) -> None:
        super().__init__()
        self._output = output
        self._told = 0

    @property
    def dropped(self) -> int:
        """How many lines were lost."""
        return self._output.dropped

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record)
        if self._output.error is None and (lost := self._output.dropped - self._told):
            self._told += lost
            message = f"{lost} log lines were dropped: nobody read them"
            self._write(logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (), None))

    def close(self) -> None:
        super().close()
        self._output.close()

    def _write(self, record: logging.LogRecord) -> None:
        self._output.write([f"{self.format(record)}\n".encode(errors="backslashreplace")])


class JSONFormatter(logging.Formatter):
    """One JSON object a line. An exception goes into the field `exception`, traceback and all."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        tail = {"exception": trace} if (trace := _trace(record)) else {}
        return json.dumps(head | _fields(record) | head | tail, default=str, ensure_ascii=False)


class HumanFormatter(logging.Formatter):
    """`07:12:33 INFO  listening frontend=127.96.0.12:80/TCP`, in local time. A traceback follows on more lines.
    `before` stands in front of each."""

    def __init__(self, before: str = "") -> None:
        super().__init__()
        self._before = before

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = _SHORT_LEVELS.get(record.levelname, record.levelname)
        event = plain(record.getMessage())
        words = [f"{name}={_shown(value)}" for name, value in _fields(record).items()]
        line = " ".join([f"{self._before}{moment} {level:<5} {event}", *words])
        return "\n".join([line, plain_lines(trace)]) if (trace := _trace(record)) else line


def _handler_of(stream: TextIO) -> logging.Handler:
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:
        return logging.StreamHandler(stream)
    return LineHandler(LineOutput(descriptor))


def _fields(record: logging.LogRecord) -> dict[str, object]:
    found = getattr(record, "fields", None)
    return found if isinstance(found, dict) else {}


def _trace(record: logging.LogRecord) -> str:
    if record.exc_info is None or record.exc_info[0] is None:
        return ""
    return "".join(traceback.format_exception(*record.exc_info)).rstrip()


def _shown(value: object) -> str:
    """Bare where that cannot be misread, else as a JSON string."""
    text = str(value)
    is_bare = text.isprintable() and text != "" and not any(character in ' "=' for character in text)
    return text if is_bare else plain(json.dumps(text, ensure_ascii=False))
