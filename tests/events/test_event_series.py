"""Which Events are written for what happens, by a clock of the test's own."""

from datetime import UTC, datetime, timedelta

from proxy.events.event_series import BURST, INTERVAL, REFILL, SIMILAR, EventSeries, EventWrite
from proxy.events.service_event import ServiceEvent

START = datetime(2026, 3, 1, tzinfo=UTC)


def event(message: str = "port 80 is taken", name: str = "web", reason: str = "FailedToListen") -> ServiceEvent:
    return ServiceEvent(("shop", name), "uid-1", reason, "Listen", message)


def observe(series: EventSeries, what: ServiceEvent, seconds: float = 0.0) -> EventWrite:
    write = series.observe(what, seconds, START + timedelta(seconds=seconds))
    assert write is not None
    return write


def test_an_event_says_what_happened_to_whom_and_who_says_so() -> None:
    document = observe(EventSeries("node-a"), event()).document
    assert document["metadata"]["name"].startswith("web.")
    assert document["metadata"]["namespace"] == "shop"
    assert document["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Service",
        "namespace": "shop",
        "name": "web",
        "uid": "uid-1",
    }
    assert (document["type"], document["reason"], document["action"]) == ("Warning", "FailedToListen", "Listen")
    assert document["source"] == {"component": "svcproxy", "host": "node-a"}
    assert (document["count"], document["firstTimestamp"]) == (1, "2026-03-01T00:00:00Z")


def test_what_happens_again_is_counted_in_the_same_event() -> None:
    series = EventSeries("node-a")
    first, second = observe(series, event()), observe(series, event(), 60.0)
    assert (first.again, second.again) == (False, True)
    assert second.document["metadata"] == first.document["metadata"]
    assert second.changes == {"count": 2, "lastTimestamp": "2026-03-01T00:01:00Z", "message": "port 80 is taken"}
    assert second.document["firstTimestamp"] == "2026-03-01T00:00:00Z"


def test_another_restart_finds_the_name_of_before_and_another_node_has_its_own() -> None:
    names = [observe(EventSeries(host), event()).document["metadata"]["name"] for host in ("a", "a", "b")]
    assert names[0] == names[1]
    assert names[0] != names[2]


def test_one_service_gets_so_many_writes_and_then_one_now_and_then() -> None:
    series = EventSeries("node-a")
    for _ in range(BURST):
        observe(series, event())
    assert series.observe(event(), 0.0, START) is None
    assert series.observe(event(), REFILL * 0.9, START) is None
    observe(series, event(), REFILL * 1.1)
    assert series.observe(event(), REFILL * 1.2, START) is None
    observe(series, event(name="other"))


def test_many_messages_of_one_reason_become_one_event() -> None:
    series = EventSeries("node-a")
    told_apart = {observe(series, event(f"port {n}")).document["metadata"]["name"] for n in range(SIMILAR)}
    combined = [observe(series, event(f"port {n}")) for n in range(SIMILAR, SIMILAR + 3)]
    assert len(told_apart) == SIMILAR
    assert len({write.document["metadata"]["name"] for write in combined} | told_apart) == SIMILAR + 1
    assert combined[-1].changes["count"] == 3
    assert combined[-1].changes["message"] == f"(combined from similar events): port {SIMILAR + 2}"
    assert not observe(series, event("port x", reason="Other")).again


def test_messages_of_long_ago_do_not_count_as_similar() -> None:
    series = EventSeries("node-a")
    for number in range(SIMILAR):
        observe(series, event(f"port {number}"))
    later = observe(series, event("port new"), INTERVAL + 1)
    assert later.document["message"] == "port new"


def test_a_long_message_is_cut() -> None:
    assert len(observe(EventSeries("node-a"), event("x" * 5000)).document["message"]) == 1024
