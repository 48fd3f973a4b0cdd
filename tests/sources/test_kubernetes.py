"""The Kubernetes source against a fake API server over TLS: first states, changes, and what it is to follow."""

import asyncio
import logging
from pathlib import Path

import pytest

from proxy.model.changes import Changes
from proxy.sources.kubernetes_api.resource import Scope
from proxy.sources.kubernetes_api.timing import Timing
from proxy.startup_error import StartupError
from tests.sources.fake_api import FakeAPI
from tests.sources.followed_cluster import (
    BOUND_SECONDS,
    SERVICE,
    SLICE,
    assert_converges,
    endpoint_slice,
    following,
    pod,
    service,
    watching,
)


async def test_begins_with_the_complete_state(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        first = await followed.next()
        assert {each.key for each in first.services} == {("default", f"web-{index}") for index in range(4)}
        assert {each.key for each in first.slices} == {("default", f"web-{index}-abc") for index in range(4)}
        assert followed.services["default", "web-0"].spec.session_affinity == "None"
        await assert_converges(followed, cluster, kubeconfig)
        assert followed.weights == {("default", "weighted"): 3}
        assert followed.zone == "zone-a"
        assert followed.problems == []


async def test_an_empty_cluster_has_a_first_state_too(api: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        assert await followed.next() == Changes(problems=(), known_state_of="")


async def test_takes_pages_where_streaming_lists_are_refused(cluster: FakeAPI, kubeconfig: Path) -> None:
    cluster.streaming_lists = False
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        pages = [query for plural, query in cluster.requests if plural == SERVICE and "limit" in query]
        assert [query.get("continue") for query in pages] == [None, "3"]
        await assert_converges(followed, cluster, kubeconfig)


async def test_takes_pages_where_a_streaming_list_never_ends(cluster: FakeAPI, kubeconfig: Path) -> None:
    cluster.silent_streaming_lists = True
    timing = Timing(first_delay=0.01, longest_delay=0.05, initial_events_patience=0.05)
    async with following(kubeconfig, timing=timing) as followed:
        await watching(followed, cluster)
        cluster.silent_streaming_lists = False
        await assert_converges(followed, cluster, kubeconfig)


async def test_takes_pages_where_a_streaming_list_ends_with_an_error_and_says_so(
    cluster: FakeAPI, kubeconfig: Path
) -> None:
    cluster.failing_streaming_lists = "the required storage feature RequestWatchProgress is disabled"
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        told = (
            f"API server {cluster.url}: lists come in pages, since a streaming list was answered with: "
            "the required storage feature RequestWatchProgress is disabled (500)"
        )
        assert followed.problems == [told]
        assert {each.errors for each in followed.source.statistics()} == {1}
        await assert_converges(followed, cluster, kubeconfig)


async def test_what_keeps_it_from_its_first_state_is_known(cluster: FakeAPI, kubeconfig: Path) -> None:
    cluster.failing_streaming_lists = "no progress"
    cluster.refuse["services", "list"] = 500
    async with following(kubeconfig) as followed:
        first = asyncio.create_task(followed.next())
        async with asyncio.timeout(BOUND_SECONDS):
            await cluster.asked("services", 4)
        assert sorted(str(problem) for problem in followed.source.hindrances()) == [
            f"API server {cluster.url}: cannot list services in the cluster: services may not be had (500)",
            f"API server {cluster.url}: lists come in pages, since a streaming list was answered with: "
            "no progress (500)",
        ]
        cluster.refuse.clear()
        await first
        assert followed.source.hindrances() == ()


async def test_a_streaming_list_that_is_cut_begins_anew(cluster: FakeAPI, kubeconfig: Path) -> None:
    cluster.put(SERVICE, service("a-first-and-gone"))
    cluster.put(SLICE, endpoint_slice("a-first-and-gone", "web-0"))
    for plural, item in (("pods", pod("a-first-and-gone", "1")), ("nodes", {"metadata": {"name": "node-1"}})):
        cluster.put(plural, item)
    cluster.cut_streaming_lists = 4
    node = {"metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "zone-a"}}}
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.put("nodes", node)
        assert not any(name == "a-first-and-gone" for _, name in followed.services | followed.slices)
        await assert_converges(followed, cluster, kubeconfig)


async def test_an_expired_page_token_leads_to_a_new_list(cluster: FakeAPI, kubeconfig: Path) -> None:
    cluster.streaming_lists, cluster.expire_continue = False, 1
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        await assert_converges(followed, cluster, kubeconfig)


async def test_follows_changes_and_deletions(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.put(SERVICE, service("web-0", sessionAffinity="ClientIP"))
        cluster.delete(SERVICE, "default", "web-1")
        cluster.delete(SLICE, "default", "web-1-abc")
        cluster.put("pods", pod("weighted", "7"))
        cluster.put("pods", pod("other", "2"))
        await followed.until(lambda each: each.weights == {("default", "weighted"): 7, ("default", "other"): 2})
        cluster.delete("pods", "default", "other")
        await followed.until(lambda each: each.weights == {("default", "weighted"): 7})
        await assert_converges(followed, cluster, kubeconfig)
        assert ("default", "web-1") not in followed.services
        assert followed.services["default", "web-0"].spec.session_affinity == "ClientIP"


async def test_a_thousand_endpoints_in_one_line_arrive_whole(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.put(SLICE, endpoint_slice("web-0-abc", "web-0", 1000))
        await followed.until(lambda each: len(each.slices["default", "web-0-abc"].endpoints) == 1000)
        await assert_converges(followed, cluster, kubeconfig)


async def test_nothing_is_told_before_both_lists_are_complete(
    cluster: FakeAPI, kubeconfig: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.refuse[SLICE, "watch"] = 403
    caplog.set_level(logging.WARNING)
    async with following(kubeconfig) as followed:
        first = asyncio.create_task(followed.next())
        async with asyncio.timeout(BOUND_SECONDS):
            await cluster.asked(SLICE, times=3)
        assert not first.done()
        cluster.refuse.clear()
        assert (await first).slices
        said = [record.message for record in caplog.records if "may not watch endpointslices" in record.message]
        assert len(said) == 1


async def test_only_the_namespace_asked_for_is_followed(cluster: FakeAPI, kubeconfig: Path) -> None:
    elsewhere = service("elsewhere")
    elsewhere["metadata"]["namespace"] = "other"
    cluster.put(SERVICE, elsewhere)
    async with following(kubeconfig, scope=Scope("node-1", namespace="other")) as followed:
        await followed.next()
        assert set(followed.services) == {("other", "elsewhere")}
        assert not any(plural == "nodes" for plural, _ in cluster.requests)


async def test_only_the_services_of_its_own_name_are_followed(cluster: FakeAPI, kubeconfig: Path) -> None:
    mine = service("mine")
    mine["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "svcproxy"}
    cluster.put(SERVICE, mine)
    async with following(kubeconfig, scope=Scope("node-1", proxy_name="svcproxy")) as followed:
        await followed.next()
        assert set(followed.services) == {("default", "mine")}
    async with following(kubeconfig) as followed:
        await followed.next()
        assert ("default", "mine") not in followed.services


async def test_reread_lists_again_with_the_credentials_of_now(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.put(SERVICE, service("untold"), tell=False)
        followed.source.reread()
        await followed.until_known("untold")
        await assert_converges(followed, cluster, kubeconfig)


@pytest.mark.parametrize("content", ["", "contexts: []", "- a list", "a: [", "current-context: missing"])
async def test_a_kubeconfig_that_is_none_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    async with following(path) as followed:
        with pytest.raises(StartupError, match="kubeconfig"):
            await followed.next()


async def test_a_missing_kubeconfig_stops_the_start(tmp_path: Path) -> None:
    async with following(tmp_path / "none") as followed:
        with pytest.raises(StartupError, match="does not exist: correct --kubeconfig"):
            await followed.next()
