"""The access log: one line a flow, for machines and for people, whatever becomes of the stream."""

import json
import logging
from datetime import UTC, datetime
from random import Random

import msgspec
import pytest

from proxy.dataplane.access_log import AccessLog, FlowRecord
from proxy.dataplane.close_reason import CloseReason
from tests.dataplane.kept_lines import KeptLines

RECORD = FlowRecord(
    client="127.0.0.1:40000",
    service="default/web",
    frontend="127.96.0.1:80/TCP",
    endpoint="127.0.0.2:8080",
    pod="web-1",
    received=10,
    sent=20,
    connect_seconds=0.0005,
    seconds=1.5,
)


def test_a_line_for_machines_has_every_field() -> None:
    stream = KeptLines()
    log = AccessLog(stream, json=True)
    log.write(RECORD, CloseReason.CLIENT_CLOSED)
    log.flush()
    line = json.loads(stream.text)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is UTC
    assert line == {
        "event": "flow",
        "protocol": "TCP",
        "client": "127.0.0.1:40000",
        "service": "default/web",
        "frontend": "127.96.0.1:80/TCP",
        "endpoint": "127.0.0.2:8080",
        "pod": "web-1",
        "bytesIn": 10,
        "bytesOut": 20,
        "connectMs": 0.5,
        "durationMs": 1500.0,
        "reason": "client_closed",
    }


def test_a_line_for_people_says_the_same() -> None:
    stream = KeptLines()
    log = AccessLog(stream, json=False)
    log.write(RECORD, CloseReason.CLIENT_CLOSED)
    log.flush()
    moment, _, said = stream.text.partition(" ")
    assert datetime.fromisoformat(moment).tzinfo is UTC
    assert said == (
        "127.0.0.1:40000 -> 127.96.0.1:80/TCP default/web 127.0.0.2:8080 web-1 "
        "in=10 out=20 connect=0.50ms duration=1500.00ms client_closed\n"
    )


@pytest.mark.parametrize("reason", list(CloseReason))
def test_a_sample_of_none_leaves_out_ordinary_endings_alone(reason: CloseReason) -> None:
    ordinary = {CloseReason.CLIENT_CLOSED, CloseReason.BACKEND_CLOSED, CloseReason.IDLE_TIMEOUT}
    log = AccessLog(KeptLines(), json=True, sample=0.0)
    assert log.wants(reason) == (reason not in ordinary)


def test_a_sample_of_a_quarter_is_about_a_quarter() -> None:
    log = AccessLog(KeptLines(), json=True, sample=0.25, random=Random(1))
    assert 200 < sum(log.wants(CloseReason.CLIENT_CLOSED) for _ in range(1000)) < 300


@pytest.mark.parametrize(("is_json", "said"), [(True, '"connectMs":null'), (False, " - - in=10 out=20 connect=- ")])
def test_where_no_backend_was_reached_there_is_no_connect_time(is_json: bool, said: str) -> None:
    stream = KeptLines()
    log = AccessLog(stream, json=is_json)
    log.write(msgspec.structs.replace(RECORD, endpoint="", pod="", connect_seconds=-1.0), CloseReason.NO_ENDPOINTS)
    log.flush()
    assert said in stream.text


def test_lines_are_gathered_until_the_flush() -> None:
    stream = KeptLines()
    log = AccessLog(stream, json=False)
    log.write(RECORD, CloseReason.CLIENT_CLOSED)
    log.write(RECORD, CloseReason.CLIENT_CLOSED)
    assert stream.text == ""
    log.flush()
    log.flush()
    assert stream.text.count("\n") == 2


def test_an_output_that_takes_nothing_is_reported_once_until_it_recovers(caplog: pytest.LogCaptureFixture) -> None:
    output = KeptLines()
    log = AccessLog(output, json=False)
    for error in ("No space left on device", "No space left on device", None, "No space left on device"):
        output.error = error
        log.write(RECORD, CloseReason.CLIENT_CLOSED)
        log.flush()
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["the access log cannot be written, and lines are dropped: No space left on device"] * 2
    assert output.text.count("\n") == 1
    assert log.dropped == 3


def test_what_was_gathered_goes_to_the_old_file_and_what_comes_to_the_new_one() -> None:
    old, new = KeptLines(), KeptLines()
    log = AccessLog(old, json=True)
    log.write(RECORD, CloseReason.CLIENT_CLOSED)
    log.go_over_to(new)
    log.write(RECORD, CloseReason.CLIENT_RESET)
    log.flush()
    assert old.closed
    assert not new.closed
    assert [json.loads(each.text)["reason"] for each in (old, new)] == ["client_closed", "client_reset"]


def test_what_one_file_lost_counts_after_the_next_was_opened() -> None:
    old, new = KeptLines(), KeptLines()
    old.error = new.error = "full"
    log = AccessLog(old, json=True)
    log.write(RECORD, CloseReason.CLIENT_CLOSED)
    log.go_over_to(new)
    log.write(RECORD, CloseReason.CLIENT_CLOSED)
    log.flush()
    assert log.dropped == 2
