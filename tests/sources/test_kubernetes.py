"""The Kubernetes source against a fake API server over TLS that misbehaves.

After every scenario the sum of all changes equals the first state of a source that starts afresh. Every wait has a
bound and ends with what it waits for.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from proxy.model.changes import Changes, ObjectKey
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.service import Service
from proxy.sources.kubernetes import KubernetesSource
from proxy.sources.kubernetes_api.connection import Connection
from proxy.sources.kubernetes_api.credentials import Kubeconfig
from proxy.sources.kubernetes_api.known_state import KnownStateFile
from proxy.sources.kubernetes_api.resource import Scope
from proxy.sources.kubernetes_api.timing import Timing
from proxy.startup_error import StartupError
from tests.sources.fake_api import FakeAPI, Object

BOUND_SECONDS = 20
QUICK = Timing(first_delay=0.01, longest_delay=0.05, page_size=3, first_save=0.0, save_interval=0.01)
SERVICE = "services"
SLICE = "endpointslices"
SCOPE = Scope(node_name="node-1")


class Followed:
    """A running source, and what all its changes so far add up to."""

    def __init__(self, source: KubernetesSource) -> None:
        self.source = source
        self.services: dict[ObjectKey, Service] = {}
        self.slices: dict[ObjectKey, EndpointSlice] = {}
        self.weights: dict[ObjectKey, int] = {}
        self.problems: list[str] = []
        self.zone = ""
        self.known_state_of = ""
        self._changes = source.changes()

    @property
    def state(self) -> tuple[object, ...]:
        return self.services, self.slices, self.weights, self.zone

    async def next(self) -> Changes:
        async with asyncio.timeout(BOUND_SECONDS):
            changes = await anext(self._changes)
        for key in changes.removed_services:
            self.services.pop(key, None)
        for key in changes.removed_slices:
            self.slices.pop(key, None)
        self.services |= {each.key: each for each in changes.services}
        self.slices |= {each.key: each for each in changes.slices}
        for weight in changes.pod_weights:
            self.weights.pop((weight.namespace, weight.name), None)
            if weight.weight is not None:
                self.weights[weight.namespace, weight.name] = weight.weight
        if changes.node is not None:
            self.zone = changes.node.zone
        if changes.problems is not None:
            self.problems = [str(problem) for problem in changes.problems]
        if changes.known_state_of is not None:
            self.known_state_of = changes.known_state_of
        return changes

    async def until(self, reached: Callable[["Followed"], bool]) -> None:
        for _ in range(200):
            if reached(self):
                return
            await self.next()
        raise AssertionError(f"never reached: {self.state} {self.problems}")

    async def until_known(self, *names: str) -> None:
        await self.until(lambda followed: {name for _, name in followed.services} >= set(names))

    async def close(self) -> None:
        assert isinstance(self._changes, AsyncGenerator)
        await self._changes.aclose()


@asynccontextmanager
async def following(
    kubeconfig: Path, state: Path | None = None, *, scope: Scope = SCOPE, timing: Timing = QUICK
) -> AsyncIterator[Followed]:
    loop = asyncio.get_running_loop()
    directory = state or kubeconfig.parent / "no-state"
    connection = Connection(Kubeconfig(str(kubeconfig)), loop.time, timing.credentials)
    known_state = KnownStateFile(str(directory), (str(kubeconfig), scope.namespace, scope.proxy_name))
    followed = Followed(KubernetesSource(connection, scope, known_state, timing, Random(1)))
    try:
        yield followed
    finally:
        await followed.close()


async def first_state(kubeconfig: Path) -> tuple[object, ...]:
    """What a source that starts now knows, with its node and weights."""
    async with following(kubeconfig) as fresh:
        await fresh.until(lambda each: bool(each.zone and each.weights))
        return fresh.state


def service(name: str, **spec: object) -> Object:
    return {
        "metadata": {"namespace": "default", "name": name, "uid": f"uid-{name}", "creationTimestamp": None},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80, "targetPort": "http"}], **spec},
        "status": {"loadBalancer": {}},
    }


def endpoint_slice(name: str, owner: str, endpoints: int = 1) -> Object:
    return {
        "metadata": {"namespace": "default", "name": name, "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [f"10.1.{index // 250}.{index % 250 + 1}"], "conditions": {"ready": True}}
            for index in range(endpoints)
        ]
        or None,
        "ports": [{"name": "", "port": 8080}],
    }


def pod(name: str, weight: str) -> Object:
    return {"metadata": {"namespace": "default", "name": name, "labels": {"svcproxy.io/weight": weight}}}


@pytest.fixture
def cluster(api: FakeAPI) -> FakeAPI:
    """An API with four Services, a slice each, a weighted Pod and this node."""
    for index in range(4):
        api.put(SERVICE, service(f"web-{index}"))
        api.put(SLICE, endpoint_slice(f"web-{index}-abc", f"web-{index}", index))
    api.put("pods", pod("weighted", "3"))
    node = {"metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "zone-a"}}}
    api.put("nodes", node)
    return api


async def assert_converges(followed: Followed, api: FakeAPI, kubeconfig: Path) -> None:
    """Whatever went wrong: one more change of each kind arrives, and then the state is what a fresh list gives."""
    last = api.put(SERVICE, service("last"))["metadata"]["resourceVersion"]
    slice_version = api.put(SLICE, endpoint_slice("last-slice", "last", 2))["metadata"]["resourceVersion"]
    key, slice_key = ("default", "last"), ("default", "last-slice")
    await followed.until(
        lambda each: (
            key in each.services
            and each.services[key].metadata.resource_version == last
            and slice_key in each.slices
            and each.slices[slice_key].metadata.resource_version == slice_version
            and bool(each.zone and each.weights)
        )
    )
    assert followed.state == await first_state(kubeconfig)


async def watching(followed: Followed, api: FakeAPI) -> None:
    """Follow until the first state is known and everything is being watched."""
    await followed.until_known("web-0", "web-1", "web-2", "web-3")
    async with asyncio.timeout(BOUND_SECONDS):
        await api.watched(SERVICE, SLICE, "pods", "nodes")


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


async def test_a_thousand_endpoints_in_one_line_arrive_whole(cluster: FakeAPI, kubeconfig: Path) -> None:
    async with following(kubeconfig) as followed:
        await watching(followed, cluster)
        cluster.put(SLICE, endpoint_slice("web-0-abc", "web-0", 1000))
        await followed.until(lambda each: len(each.slices["default", "web-0-abc"].endpoints) == 1000)
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
