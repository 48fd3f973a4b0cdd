"""Events as rows of a table."""

from typing import Any

from proxy.apiserver.tables.event import event_row

ABOUT = {"kind": "Service", "name": "web", "fieldPath": "spec.ports[0]"}


def event(**members: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web.1"}, "involvedObject": ABOUT, "type": "Warning", "reason": "Port", **members}


def test_an_event_that_was_seen_several_times() -> None:
    document = event(
        firstTimestamp="1970-01-01T00:00:00Z",
        lastTimestamp="1970-01-01T00:00:50Z",
        count=4,
        message=" taken \n",
        source={"component": "svcproxy", "host": "n"},
    )
    row = ["10s", "Warning", "Port", "service/web", "spec.ports[0]", "svcproxy, n", "taken", "60s", 4, "web.1"]
    assert event_row(document, 60) == row


def test_a_newer_event_has_a_time_a_series_and_a_reporting_component() -> None:
    document = event(
        eventTime="1970-01-01T00:00:00.000000Z",
        series={"count": 7, "lastObservedTime": "1970-01-01T00:00:30.000000Z"},
        reportingComponent="svcproxy",
        reportingInstance="n",
    )
    row = event_row(document, 60)
    assert (row[0], row[5], row[7], row[8]) == ("30s", "svcproxy, n", "60s", 7)


def test_an_event_without_count_was_seen_once() -> None:
    row = event_row(event(eventTime="1970-01-01T00:00:00Z", source={"component": "svcproxy"}), 60)
    assert (row[0], row[5], row[7], row[8]) == ("60s", "svcproxy", "60s", 1)


def test_an_event_about_nothing_in_particular() -> None:
    assert event_row({"metadata": {"name": "e"}, "involvedObject": {"kind": "Node"}}, 0)[3] == "node"
