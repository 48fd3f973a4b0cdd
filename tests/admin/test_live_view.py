"""The page's picture: what the deltas say is what a snapshot says."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.admin.live_view import CHANGES_SHOWN, LiveView
from proxy.plan.frontend import Delta, Pool
from proxy.reports.live_frame import EndpointCounts, Frame
from tests.admin.inspected import FakeProxy, service_report
from tests.finished import finished

KEY = "default/{}:http/TCP/IPv4"


def shown(frame: Frame) -> dict[str, Any]:
    """A frame as the page reads it."""
    read: dict[str, Any] = json.loads(msgspec.json.encode(frame))
    return read


class Page:
    """Merges frames as the page does."""

    def __init__(self) -> None:
        self.services: dict[str, Any] = {}
        self.counts: dict[tuple[str, str], list[int]] = {}

    def take(self, frame: Mapping[str, Any]) -> None:
        for name, view in frame.get("services", {}).items():
            for pool in (self.services.pop(name, None) or {"pools": ()})["pools"]:
                self.counts = {place: each for place, each in self.counts.items() if place[0] != pool["key"]}
            if view is not None:
                self.services[name] = view
        for pool, counts in frame.get("counts", {}).items():
            self.counts.update(((pool, place), each) for place, each in counts.items())


def test_the_first_frame_tells_everything() -> None:
    proxy = FakeProxy(service_report("shop"))
    proxy.counts = {KEY.format("shop"): {0: EndpointCounts(1, 0, 0, 5), 1: EndpointCounts()}}
    frame = shown(finished(LiveView(proxy, "1.2.3").advance(10.0, 1000.0)))
    assert frame["services"]["default/shop"]["pools"][0]["endpoints"] == [
        ["10.0.0.0", 8080, "pod-0", 1],
        ["10.0.0.1", 8080, "pod-1", 1],
    ]
    assert frame["counts"] == {KEY.format("shop"): {"0": [1, 0, 0, 5, 0, 0, 0]}}
    assert frame["proxy"]["version"] == "1.2.3"
    assert (frame["workers"][0]["pid"], frame["problems"][0]["message"]) == (4711, "is wrong")


def test_nothing_changed_is_an_empty_frame_and_looks_into_no_service() -> None:
    proxy = FakeProxy(*(service_report(f"s{number}") for number in range(100)))
    view = LiveView(proxy, "")
    assert not finished(view.advance(10.0, 1000.0)).is_empty
    asked = proxy.asked
    frame = finished(view.advance(10.5, 1000.5))
    assert (frame.is_empty, frame.interval) == (True, 0.5)
    assert shown(frame) == {"time": 1000.5, "interval": 0.5}
    assert proxy.asked == asked


def test_only_what_changed_is_told() -> None:
    proxy = FakeProxy(service_report("shop"), service_report("web"))
    view = LiveView(proxy, "")
    finished(view.advance(10.0, 1000.0))
    proxy.counts = {KEY.format("web"): {1: EndpointCounts(1)}}
    del proxy.services["default", "shop"]
    assert shown(finished(view.advance(10.5, 1000.5))) == {
        "time": 1000.5,
        "interval": 0.5,
        "services": {"default/shop": None},
        "counts": {KEY.format("web"): {"1": [1, 0, 0, 0, 0, 0, 0]}},
    }


def test_a_service_that_is_told_anew_comes_with_all_its_counts() -> None:
    proxy = FakeProxy(service_report("shop"))
    proxy.counts = {KEY.format("shop"): {0: EndpointCounts(opened=7)}}
    view = LiveView(proxy, "")
    finished(view.advance(10.0, 1000.0))
    proxy.services["default", "shop"] = service_report("shop", endpoints=3)
    frame = shown(finished(view.advance(10.5, 1000.5)))
    assert len(frame["services"]["default/shop"]["pools"][0]["endpoints"]) == 3
    assert frame["counts"][KEY.format("shop")] == {"0": [0, 0, 0, 7, 0, 0, 0]}


def test_changes_are_told_once_and_the_latest_of_very_many() -> None:
    proxy = FakeProxy()
    view = LiveView(proxy, "")
    for number in range(CHANGES_SHOWN + 5):
        pool = Pool("p", "default/shop", "", "TCP", "rr", "p", 0, 5.0, float(number), ())
        proxy.recent_changes.record(Delta((pool,)), "2026-03-01T00:00:00+00:00")
    told = finished(view.advance(10.0, 1000.0)).changes
    assert (len(told), told[-1].sequence) == (CHANGES_SHOWN, CHANGES_SHOWN + 5)
    assert finished(view.advance(10.5, 1000.5)).changes == ()
    assert len(view.snapshot().changes) == CHANGES_SHOWN


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(
    st.tuples(st.just("put"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("remove"), NAMES, st.just(0)),
    st.tuples(st.just("count"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("look"), st.just(""), st.just(0)),
)


@given(st.lists(STEPS, max_size=30))
def test_merged_deltas_are_the_snapshot(steps: list[tuple[str, str, int]]) -> None:
    proxy, page = FakeProxy(), Page()
    view = LiveView(proxy, "")
    for moment, (step, name, number) in enumerate([*steps, ("look", "", 0)]):
        counts = proxy.counts.get(KEY.format(name), {})
        match step:
            case "put":
                proxy.services["default", name] = service_report(name, endpoints=number)
                proxy.counts[KEY.format(name)] = {place: counts.get(place, EndpointCounts()) for place in range(number)}
            case "remove":
                proxy.services.pop(("default", name), None)
                proxy.counts.pop(KEY.format(name), None)
            case "count" if number in counts:
                counts[number] = replace(counts[number], opened=counts[number].opened + 1)
            case "look":
                page.take(shown(finished(view.advance(10.0 + moment, 1000.0 + moment))))
    whole = Page()
    whole.take(shown(view.snapshot()))
    assert (page.services, page.counts) == (whole.services, whole.counts)
