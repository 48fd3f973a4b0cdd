"""Lists and events as an API server writes them, and as nobody should."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.service import Service
from proxy.sources.kubernetes_api.object_store import Observed
from proxy.sources.kubernetes_api.payloads import (
    Bookmark,
    Failure,
    PayloadError,
    Put,
    Removed,
    WatchEvent,
    read_events,
    read_list,
    status_message,
)
from proxy.sources.kubernetes_api.resource import Scope, endpoint_slices, services

SERVICES = services(Scope("node")).reader
SLICES = endpoint_slices(Scope("node")).reader


def event(event_type: str, /, **content: Any) -> list[WatchEvent[Service]]:
    return read_events([json.dumps({"type": event_type, "object": content}).encode()], SERVICES)


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "resourceVersion": "7"}, **more}


def test_a_page_has_its_objects_version_and_token() -> None:
    body = {"metadata": {"resourceVersion": "9", "continue": "next"}, "items": [named("a"), named("b")]}
    page = read_list(json.dumps(body).encode(), SERVICES)
    assert [each.key for each in page.objects] == [("default", "a"), ("default", "b")]
    assert [each.item.spec.type for each in page.objects if each.item] == ["ClusterIP", "ClusterIP"]
    assert (page.version, page.following) == ("9", "next")


def test_a_list_of_nothing_is_empty() -> None:
    assert read_list(b'{"metadata":{"resourceVersion":"9"},"items":null}', SERVICES).objects == ()


def test_go_s_nulls_mean_the_same_as_nothing() -> None:
    body = {"items": [named("a", endpoints=None, ports=None, addressType="IPv4")], "metadata": {}}
    (found,) = read_list(json.dumps(body).encode(), SLICES).objects
    assert isinstance(found.item, EndpointSlice)
    assert found.problem is None
    assert found.item.endpoints == ()


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (named("a", spec={"ports": [{"port": "x"}]}), "Service default/a: Expected `int`, got `str`"),
        (named("a", spec={"ports": [{"port": 0}]}), "Service default/a: spec.ports[0].port: 0 is not a port"),
        (named("a", spec={"ports": [{"port": 1, "nodePort": 70000}]}), "Service default/a: spec.ports[0].nodePort: 70"),
        (named("a", spec={"ports": [{"port": 1, "protocol": "QUIC"}]}), "Service default/a: spec.ports[0].protocol: Q"),
        (named("a", spec={"loadBalancerSourceRanges": ["10.0.0.0/99"]}), "Service default/a: spec.loadBalancerSource"),
        (named("a", spec=[]), "Service default/a: Expected `object`, got `array`"),
        ({"metadata": {"namespace": "default"}}, "Service default: metadata.name is missing"),
        ({"spec": {}}, "Service: Object missing required field `metadata`"),
        ("text", "Service: Expected `object`, got `str`"),
    ],
)
def test_a_bad_object_is_a_problem_among_good_ones(item: object, problem: str) -> None:
    body = {"metadata": {}, "items": [named("good"), item]}
    good, bad = read_list(json.dumps(body).encode(), SERVICES).objects
    assert good.item is not None
    assert bad.item is None
    assert str(bad.problem).startswith(problem)
    assert str(bad.problem).endswith("; it is left out")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"items":5}', b'{"metadata":{}}'])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError, match="not a list of objects"):
        read_list(body, SERVICES)


def test_the_events_of_a_watch_are_told_apart() -> None:
    (added,) = event("ADDED", **named("a"))
    assert isinstance(added, Put)
    assert added.observed.item is not None
    (deleted,) = event("DELETED", **named("a", spec={"ports": "nonsense"}))
    assert deleted == Removed(Observed(("default", "a"), "7", None))
    assert event("BOOKMARK", metadata={"resourceVersion": "8"}) == [Bookmark("8", initial_events_end=False)]
    annotations = {"k8s.io/initial-events-end": "true"}
    end = event("BOOKMARK", metadata={"resourceVersion": "8", "annotations": annotations})
    assert end == [Bookmark("8", initial_events_end=True)]
    assert event("ERROR", kind="Status", code=410, message="too old") == [Failure(410, "too old")]
    assert event("RENAMED", **named("a")) == []


@pytest.mark.parametrize("line", [b"{", b"5", b'{"type":"ADDED"}', b'{"object":{}}', b'{"type":"BOOKMARK","object":5}'])
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(PayloadError, match="no event"):
        read_events([line], SERVICES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["metadata", "name", "spec", "ports", "port", "type", "object"]), inner)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "OTHER"]))
def test_whatever_an_event_holds_is_read_or_refused(content: object, kind: str) -> None:
    line = msgspec.json.encode({"type": kind, "object": content})
    with contextlib.suppress(PayloadError):
        read_events([line], SERVICES)
    with contextlib.suppress(PayloadError):
        read_events([line], SLICES)


def test_a_refusal_s_message_is_a_status_or_the_text() -> None:
    assert status_message(b'{"kind":"Status","message":"no"}') == "no"
    assert status_message(b"bad gateway\n") == "bad gateway"
    assert len(status_message(b"x" * 5000)) == 200
