"""The standalone source: complete first, then what kubectl and the manifests change."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.cluster.cluster import ClusterSettings
from proxy.model.changes import Changes
from proxy.sources.merged_changes import merged_changes
from proxy.sources.standalone import StandaloneSource
from proxy.startup_error import StartupError
from tests.sources.exported_cluster import EXPORTED, LEFT_OUT
from tests.sources.followed_manifests import replace_file

SETTINGS = ClusterSettings(service_ranges=("10.0.0.0/24",), node_name="here")
SERVICES = "/api/v1/namespaces/default/services"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: web, svcproxy.io/weight: "3"}}
status: {podIP: 127.0.0.9}
"""


def source(tmp_path: Path, *manifests: Path) -> StandaloneSource:
    return StandaloneSource(str(tmp_path / "state"), ("127.0.0.1", 0), SETTINGS, tuple(map(str, manifests)))


async def until(batches: AsyncGenerator[Changes, None], told: Callable[[Changes], bool]) -> Changes:
    """Everything that is told until it is enough, as one."""
    parts: list[Changes] = []
    async with asyncio.timeout(20):
        while not told(merged_changes(parts)):
            parts.append(await anext(batches))
    return merged_changes(parts)


async def request(tmp_path: Path, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    config = json.loads((tmp_path / "state" / "kubeconfig").read_text())
    cluster = config["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority))
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    async with (
        aiohttp.ClientSession(cluster["server"], connector=connector, headers=headers) as session,
        session.request(method, path, json=body) as response,
    ):
        return response.status, await response.json()


async def test_an_empty_api_is_a_complete_first_state(tmp_path: Path) -> None:
    async with aclosing(source(tmp_path).changes()) as batches:
        first = await anext(batches)
        assert (first.services, first.slices, first.problems) == ((), (), ())


async def test_what_clients_change_is_told(tmp_path: Path) -> None:
    async with aclosing(source(tmp_path).changes()) as batches:
        await anext(batches)
        body = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
        _, created = await request(tmp_path, "POST", SERVICES, body)
        changes = await until(batches, lambda told: bool(told.services))
        assert changes.services[0].spec.cluster_ip == created["spec"]["clusterIP"]
        assert [each.service for each in changes.slices] == [("default", "web")]
        pod = {
            "metadata": {"name": "a", "labels": {"app": "web", "svcproxy.io/weight": "3"}},
            "status": {"podIP": "127.0.0.9"},
        }
        await request(tmp_path, "POST", "/api/v1/namespaces/default/pods", pod)
        changes = await until(batches, lambda told: bool(told.slices))
        assert changes.slices[0].endpoints[0].addresses == ("127.0.0.9",)
        assert changes.pod_weights[0].weight == 3
        await request(
            tmp_path,
            "POST",
            "/api/v1/nodes",
            {"metadata": {"name": "here", "labels": {"topology.kubernetes.io/zone": "z"}}},
        )
        changes = await until(batches, lambda told: told.node is not None)
        assert changes.node is not None
        assert changes.node.zone == "z"
        await request(tmp_path, "DELETE", f"{SERVICES}/web")
        changes = await until(batches, lambda told: bool(told.removed_services))
        assert changes.removed_services == (("default", "web"),)


async def test_a_pod_of_a_file_with_an_address_runs(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    absent = POD.replace("{name: a,", "{name: b,").replace("status: {podIP: 127.0.0.9}", "")
    (manifests / "pods.yaml").write_text(f"{POD}---{absent}")
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        await anext(batches)
        _, pods = await request(tmp_path, "GET", "/api/v1/namespaces/default/pods")
    phases = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods["items"]}
    assert phases == {"a": "Running", "b": "Pending"}


async def test_a_restart_tells_the_same_first_state(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "web.yaml").write_text(f"{SERVICE}---{POD}")
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        before = await anext(batches)
    async with aclosing(source(tmp_path).changes()) as batches:
        after = await anext(batches)
    assert before.services
    assert [each.spec for each in after.services] == [each.spec for each in before.services]
    assert after.slices == before.slices
    assert after.pod_weights == before.pod_weights


async def test_manifests_are_in_the_first_state_and_are_followed(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "web.yaml").write_text(f"{SERVICE}---{POD}")
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        first = await anext(batches)
        assert [each.key for each in first.services] == [("default", "web")]
        assert first.slices[0].endpoints[0].addresses == ("127.0.0.9",)
        code, stored = await request(tmp_path, "GET", f"{SERVICES}/web")
        assert code == 200
        assert [entry["manager"] for entry in stored["metadata"]["managedFields"]] == ["svcproxy-manifests"]
        (manifests / "web.yaml").write_text(f"{SERVICE.replace('port: 80,', 'port: 81,')}---{POD}")
        changes = await until(batches, lambda told: bool(told.services))
        assert [port.port for port in changes.services[0].spec.ports] == [81]
        (manifests / "web.yaml").unlink()
        changes = await until(batches, lambda told: bool(told.removed_services))
        assert (await request(tmp_path, "GET", f"{SERVICES}/web"))[0] == 404


async def test_an_object_whose_file_went_away_unseen_is_deleted_at_the_next_start(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "web.yaml").write_text(SERVICE)
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        await anext(batches)
        body = {"metadata": {"name": "mine"}, "spec": {"ports": [{"port": 80}]}}
        await request(tmp_path, "POST", SERVICES, body)
    (manifests / "web.yaml").unlink()
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        first = await anext(batches)
        assert [each.key for each in first.services] == [("default", "mine")]


async def test_what_is_wrong_in_a_manifest_is_a_problem_that_names_the_file(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "web.yaml").write_text(SERVICE.replace("spec: {", "spec: {clusterIP: 10.9.9.9, "))
    (manifests / "bad.yaml").write_text("kind: [")
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        first = await anext(batches)
        assert first.services == ()
        assert first.problems is not None
        assert [Path(problem.where.partition(" ")[0]).name for problem in first.problems] == ["bad.yaml", "web.yaml"]
        assert "does not match the current range" in first.problems[1].message
        (manifests / "web.yaml").write_text(SERVICE)
        (manifests / "bad.yaml").unlink()
        changes = await until(batches, lambda told: bool(told.services) and told.problems == ())
        assert changes.services


async def test_a_directory_that_is_not_there_keeps_it_from_starting(tmp_path: Path) -> None:
    async with aclosing(source(tmp_path, tmp_path / "none").changes()) as batches:
        with pytest.raises(StartupError, match="do not exist"):
            await anext(batches)


async def test_a_port_that_is_taken_is_said_with_a_way_out(tmp_path: Path) -> None:
    async with aclosing(source(tmp_path).changes()) as batches:
        await anext(batches)
        config = json.loads((tmp_path / "state" / "kubeconfig").read_text())
        port = int(config["clusters"][0]["cluster"]["server"].rpartition(":")[2])
        second = StandaloneSource(str(tmp_path / "other"), ("127.0.0.1", port), SETTINGS)
        async with aclosing(second.changes()) as others:
            with pytest.raises(StartupError, match="choose another with --api-bind-address"):
                await anext(others)


async def test_an_exported_cluster_leads_to_its_pods_and_says_what_is_left_out(tmp_path: Path) -> None:
    settings = ClusterSettings(service_ranges=("127.96.0.0/16",), node_name="here")
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "exported.yaml").write_text(EXPORTED)
    exported = StandaloneSource(str(tmp_path / "state"), ("127.0.0.1", 0), settings, (str(manifests),))
    async with aclosing(exported.changes()) as batches:
        told = await until(batches, lambda told: len(told.slices) >= 2 and bool(told.problems))
        names = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/"
        assert (await request(tmp_path, "GET", f"{names}web-x7k2p"))[0] == 404
        assert (await request(tmp_path, "GET", f"{names}outside-1"))[0] == 200
    found = {each.service: [entry.addresses[0] for entry in each.endpoints] for each in told.slices}
    assert found == {("shop", "web"): ["127.0.77.1"], ("shop", "outside"): ["127.0.77.2"]}
    (problem,) = told.problems or ()
    assert problem.message.startswith(LEFT_OUT)


EXCHANGED = """
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {type: NodePort, clusterIP: 10.0.0.%s, ports: [{port: 80, nodePort: 3040%s}]}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {type: NodePort, clusterIP: 10.0.0.%s, ports: [{port: 80, nodePort: 3040%s}]}
"""


def addresses(told: Changes) -> dict[str, tuple[str, int]]:
    return {each.metadata.name: (each.spec.cluster_ip, each.spec.ports[0].node_port) for each in told.services}


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_services_that_exchange_addresses_and_node_ports_are_both_served(
    tmp_path: Path, is_restarted: bool
) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    replace_file(manifests / "a.yaml", EXCHANGED % (3, 3, 4, 4))
    expected = {"a": ("10.0.0.4", 30404), "b": ("10.0.0.3", 30403)}
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        before = await until(batches, lambda told: len(told.services) == 2)
        assert addresses(before) == {"a": ("10.0.0.3", 30403), "b": ("10.0.0.4", 30404)}
        replace_file(manifests / "a.yaml", EXCHANGED % (4, 4, 3, 3))
        if not is_restarted:
            after = await until(batches, lambda told: addresses(told) == expected)
            assert not after.problems
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        restarted = await until(batches, lambda told: addresses(told) == expected)
        assert not restarted.problems


async def test_one_that_cannot_come_in_keeps_the_others_where_they_are(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    replace_file(manifests / "a.yaml", EXCHANGED % (3, 3, 4, 4))
    async with aclosing(source(tmp_path, manifests).changes()) as batches:
        await until(batches, lambda told: len(told.services) == 2)
        _, before = await request(tmp_path, "GET", f"{SERVICES}/a")
        spoilt = (EXCHANGED % (4, 4, 3, 3)).replace("nodePort: 30403", "nodePort: 29")
        replace_file(manifests / "a.yaml", spoilt)
        told = await until(batches, lambda told: bool(told.problems))
        assert {problem.subject for problem in told.problems or ()} == {"Service default/a", "Service default/b"}
        _, after = await request(tmp_path, "GET", f"{SERVICES}/a")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"]["ports"] == before["spec"]["ports"]


async def test_a_slice_of_a_controller_counts_once_its_service_has_no_selector(tmp_path: Path) -> None:
    settings = ClusterSettings(service_ranges=("127.96.0.0/16",), node_name="here")
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    replace_file(manifests / "exported.yaml", EXPORTED)
    exported = StandaloneSource(str(tmp_path / "state"), ("127.0.0.1", 0), settings, (str(manifests),))
    async with aclosing(exported.changes()) as batches:
        await until(batches, lambda told: bool(told.problems))
        replace_file(manifests / "exported.yaml", EXPORTED.replace("    selector: {app: web}\n", ""))
        told = await until(batches, lambda told: ("shop", "web-x7k2p") in {each.key for each in told.slices})
        assert not told.problems
        replace_file(manifests / "exported.yaml", EXPORTED)
        back = await until(batches, lambda told: bool(told.problems) and ("shop", "web-x7k2p") in told.removed_slices)
        assert back.problems
