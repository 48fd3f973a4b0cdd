"""Log lines, in both forms."""

import io
import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.logs import HumanFormatter, JSONFormatter, configure, dropped_lines, fields

_LOGGER = logging.getLogger("proxy.test_logs")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("proxy")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    root.handlers[:] = []
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def _record(values: dict[str, object], event: str = "listening", created: float = 0.0) -> logging.LogRecord:
    record = logging.LogRecord("proxy.x", logging.INFO, "file", 1, event, (), None)
    record.created = created
    record.__dict__.update(fields(**values))
    return record


def test_a_json_line_has_time_level_and_event_first_and_then_the_fields() -> None:
    line = JSONFormatter().format(_record({"frontend": "127.96.0.12:80/TCP", "pid": 7}, created=1_700_000_000.25))
    assert list(json.loads(line).items()) == [
        ("time", "2023-11-14T22:13:20.250Z"),
        ("level", "info"),
        ("event", "listening"),
        ("frontend", "127.96.0.12:80/TCP"),
        ("pid", 7),
    ]


def test_no_field_takes_the_place_of_a_stable_key() -> None:
    line = json.loads(JSONFormatter().format(_record({"time": "mine", "event": "mine", "also": "kept"}, event="moved")))
    assert (line["event"], line["level"], line["also"]) == ("moved", "info", "kept")
    assert line["time"].endswith("Z")


@given(
    st.text(max_size=20),
    st.dictionaries(st.from_regex("[a-z]+", fullmatch=True), st.text(max_size=9) | st.integers() | st.binary()),
)
def test_whatever_is_logged_is_one_line(event: str, values: dict[str, object]) -> None:
    record = _record(values, event.replace("%", ""))
    assert len(JSONFormatter().format(record).split("\n")) == 1
    assert len(HumanFormatter().format(record).split("\n")) == 1


def test_a_human_line_reads_from_left_to_right() -> None:
    noon = datetime(2024, 1, 1, 12, 0, 5, tzinfo=UTC).astimezone()
    line = HumanFormatter().format(
        _record({"service": "default/myapp", "note": 'a "b"', "empty": ""}, created=noon.timestamp())
    )
    assert line == f'{noon:%H:%M:%S} INFO  listening service=default/myapp note="a \\"b\\"" empty=""'


@pytest.mark.parametrize(
    ("format", "stream", "human"),
    [
        ("auto", _Terminal(), True),
        ("auto", io.StringIO(), False),
        ("human", io.StringIO(), True),
        ("json", _Terminal(), False),
    ],
)
def test_the_form_follows_the_stream_unless_chosen(format: str, stream: io.StringIO, human: bool) -> None:
    configure(format, "info", stream)
    _LOGGER.info("started", extra=fields(port=1))
    assert stream.getvalue().startswith("{") is not human
    assert re.search(r"started port=1|\"port\": 1", stream.getvalue())


def test_the_level_is_ours_and_libraries_are_heard_from_warnings_up() -> None:
    stream = io.StringIO()
    configure("human", "debug", stream)
    _LOGGER.debug("ours")
    logging.getLogger("library").info("quiet")
    logging.getLogger("library").warning("heard")
    assert [line.split()[1:] for line in stream.getvalue().splitlines()] == [["DEBUG", "ours"], ["WARN", "heard"]]


def test_configuring_again_replaces_the_first_form() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("json", "info", first)
    configure("human", "warning", second)
    _LOGGER.info("hidden")
    _LOGGER.error("seen")
    assert first.getvalue() == ""
    assert second.getvalue().endswith("ERROR seen\n")


def test_a_reader_that_pauses_makes_nobody_wait_and_learns_what_it_missed() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader, "rb") as read:
        configure("json", "info", stream)
        for _ in range(200):
            _LOGGER.info("x" * 20_000)
        assert dropped_lines() > 0
        missed, kept = dropped_lines(), 200 - dropped_lines()
        for _ in range(kept):
            assert json.loads(read.readline())["event"] == "x" * 20_000
        for thread in threading.enumerate():
            if thread.name == "write lines":
                thread.join(20)
        _LOGGER.info("back")
        assert [json.loads(read.readline())["event"] for _ in range(2)] == [
            "back",
            f"{missed} log lines were dropped: nobody read them",
        ]
        configure("json", "info", io.StringIO())


def test_an_exception_is_one_field_in_json_and_follows_the_line_for_people() -> None:
    for format in ("json", "human"):
        stream = io.StringIO()
        configure(format, "info", stream)
        try:
            raise ValueError("two\nlines")
        except ValueError:
            _LOGGER.exception("failed", extra=fields(port=1))
        lines = stream.getvalue().splitlines()
        if format == "json":
            assert len(lines) == 1
            assert json.loads(lines[0])["exception"].endswith("ValueError: two\nlines")
        else:
            assert lines[0].endswith("ERROR failed port=1")
            assert lines[1] == "Traceback (most recent call last):"
