"""The Kubernetes source against a fake API server over TLS that misbehaves, or is away.

After every scenario the sum of all changes equals the first state of a source that starts afresh.
"""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from proxy.sources.kubernetes_api.timing import Timing
from tests.sources.fake_api import FakeAPI
from tests.sources.followed_cluster import (
    SERVICE,
    SLICE,
    assert_converges,
    endpoint_slice,
    following,
    service,
    watching,
)


async def test_a_restarted_api_server_is_followed_on_from_where_it_was(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        seen = len(cluster.requests)
        await cluster.stop()
        cluster.put(SERVICE, service("while-away"))
        cluster.delete(SERVICE, "default", "web-2")
        await followed.until(lambda each: any("cannot be reached" in problem for problem in each.problems))
        await cluster.start()
        await followed.until_known("while-away")
        await followed.until(lambda each: each.problems == [])
        resumed = [query for plural, query in cluster.requests[seen:] if plural == SERVICE]
        assert all(query.get("resourceVersion") for query in resumed)
        await assert_converges(followed, cluster, kubeconfig)


async def test_a_line_that_is_cut_is_told_again(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.put(SERVICE, service("half-told"), tell=False)
        cluster.send(SERVICE, b'{"type":"ADDED","object":{"metadata":{"name":"half-to')
        cluster.send(SERVICE, None)
        await followed.until_known("half-told")
        await assert_converges(followed, cluster, kubeconfig)


@pytest.mark.parametrize("by_event", [True, False])
async def test_what_expired_is_listed_anew_without_dropping_anything(
    cluster: FakeAPI, kubeconfig: Path, by_event: bool
) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.put(SERVICE, service("missed"), tell=False)
        cluster.delete(SERVICE, "default", "web-3", tell=False)
        cluster.forget_history()
        if by_event:
            cluster.emit(SERVICE, "ERROR", {"kind": "Status", "code": 410, "message": "too old"})
        else:
            cluster.cut()
        changes = await followed.next()
        while not changes.services:
            assert not changes.removed_services
            changes = await followed.next()
        assert [each.metadata.name for each in changes.services] == ["missed"]
        assert changes.removed_services == (("default", "web-3"),)
        await assert_converges(followed, cluster, kubeconfig)


async def test_a_silent_watch_is_replaced(cluster: FakeAPI, kubeconfig: Path) -> None:
    timing = Timing(first_delay=0.01, longest_delay=0.05, watch=0, watch_margin=0.2)
    async with following(kubeconfig, timing=timing) as followed:
        await watching(followed, cluster)
        cluster.put(SERVICE, service("untold"), tell=False)
        await followed.until_known("untold")
        await assert_converges(followed, cluster, kubeconfig)


async def test_duplicate_reordered_and_unknown_events_do_no_harm(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        first = cluster.put(SERVICE, service("moving", sessionAffinity="ClientIP"), tell=False)
        second = cluster.put(SERVICE, service("moving"), tell=False)
        other = cluster.put(SERVICE, service("other"), tell=False)
        gone = cluster.put(SERVICE, service("gone"), tell=False)
        cluster.delete(SERVICE, "default", "gone", tell=False)
        after = str(int(gone["metadata"]["resourceVersion"]) + 1)
        deleted = {**gone, "metadata": {**gone["metadata"], "resourceVersion": after}}
        for event, item in (
            ("DELETED", deleted),
            ("ADDED", gone),
            ("MODIFIED", other),
            ("MODIFIED", second),
            ("ADDED", first),
            ("RENAMED", first),
            ("MODIFIED", second),
            ("ADDED", other),
        ):
            cluster.emit(SERVICE, event, item)
        cluster.bookmark(SERVICE)
        await followed.until_known("moving", "other")
        await assert_converges(followed, cluster, kubeconfig)
        cluster.cut()
        await assert_converges(followed, cluster, kubeconfig)


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_malformed_object_among_good_ones_is_left_out(
    cluster: FakeAPI, kubeconfig: Path, streaming: bool
) -> None:
    cluster.streaming_lists = streaming
    cluster.put(SERVICE, service("broken", ports=[{"port": "eighty"}]))
    cluster.put(SLICE, {**endpoint_slice("broken-slice", "web-0"), "ports": [{"port": 70000}]})
    cluster.put(SERVICE, service("new", someNewField={"deep": [1]}, trafficDistribution="PreferMoonlight"))
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        assert followed.problems == [
            "EndpointSlice default/broken-slice: ports[0].port: 70000 is not a port; it is left out",
            "Service default/broken: Expected `int`, got `str` - at `$.spec.ports[0].port`; it is left out",
        ]
        assert ("default", "new") in followed.services
        cluster.put(SERVICE, service("broken"))
        cluster.put(SLICE, endpoint_slice("broken-slice", "web-0"))
        await followed.until(lambda each: each.problems == [])
        cluster.put(SERVICE, service("web-0", ports=[{"port": 0}]))
        await followed.until(lambda each: ("default", "web-0") not in each.services)
        await assert_converges(followed, cluster, kubeconfig)


async def test_what_is_no_event_is_reported_and_listed_anew(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.put(SERVICE, service("untold"), tell=False)
        cluster.send(SERVICE, b"<html>gateway</html>\n")
        await followed.until_known("untold")
        await assert_converges(followed, cluster, kubeconfig)


async def test_a_token_that_rotates_is_read_again(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.token = "second-token"
        (kubeconfig.parent / "token").write_text(cluster.token)
        cluster.cut()
        await assert_converges(followed, cluster, kubeconfig)
        assert cluster.refused_tokens <= len(followed.source._view.list_watches)


async def test_missing_rights_are_reported_and_asked_for_again(cluster: FakeAPI, kubeconfig: Path) -> None:
    cluster.refuse["pods", "watch"] = 403
    async with following(kubeconfig) as followed:
        await followed.until(lambda each: bool(each.problems))
        assert followed.problems == [
            f"API server {cluster.url}: may not watch pods in the cluster: pods may not be had (403): "
            "grant the verbs list and watch (config/kubernetes/rbac.yaml)"
        ]
        cluster.refuse.clear()
        await followed.until(lambda each: each.problems == [])
        await assert_converges(followed, cluster, kubeconfig)


async def test_the_last_known_state_serves_while_the_api_server_is_away(
    cluster: FakeAPI, kubeconfig: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    async with following(kubeconfig, state) as followed:
        await watching(followed, cluster)
        await followed.until(lambda each: bool(each.zone and each.weights))
        before = followed.state
        await saved(state)
    await cluster.stop()
    async with following(kubeconfig, state) as followed:
        await followed.next()
        assert followed.state == before
        assert any(problem.startswith("serving last known state of 20") for problem in followed.problems)
        assert datetime.fromisoformat(followed.known_state_of).tzinfo is not None
        cluster.delete(SERVICE, "default", "web-3")
        await cluster.start()
        await followed.until(lambda each: ("default", "web-3") not in each.services and not each.problems)
        assert followed.known_state_of == ""
        await assert_converges(followed, cluster, kubeconfig)


async def saved(state: Path) -> None:
    """Return when a state with its node is on disk; the file is looked at a bounded number of times."""
    for _ in range(2000):
        if await asyncio.to_thread(_has_zone, state):
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the known state was never saved")


def _has_zone(state: Path) -> bool:
    return any(b"zone-a" in file.read_bytes() for file in state.glob("known-state.msgpack"))


async def test_a_state_directory_that_cannot_be_written_is_reported_and_nothing_else(
    cluster: FakeAPI, kubeconfig: Path, tmp_path: Path
) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    async with following(kubeconfig, occupied / "state") as followed:
        await followed.until(lambda each: any("cannot be written" in problem for problem in each.problems))
        await assert_converges(followed, cluster, kubeconfig)
