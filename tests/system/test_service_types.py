"""Every type of Service and every form of manifest: what listens, what does not, and what `get` says about it."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask, ask_often, connect, is_refused
from tests.system.harness.command import svcproxy_command
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, ManifestDirectory, endpoint_slice, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import METRICS_PORT, StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
PORT = 7007
SILENCE = 0.5


def get(proxy: Svcproxy, directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    server = f"{proxy.status_address}:{METRICS_PORT}"
    return svcproxy_command(directory, "get", *arguments, "--server", server)


def rows(completed: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    """The lines of a table by the name in front."""
    assert completed.returncode == 0
    assert completed.stderr == ""
    return {line.split()[0]: line for line in completed.stdout.splitlines()}


def test_cluster_ip_and_node_port(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, tmp_path: Path
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    proxy = svcproxy(
        [
            service("inner", port(80)),
            endpoint_slice("inner", [a.address], {"port": PORT}),
            service("outer", port(80, nodePort=node_port), type="NodePort"),
            endpoint_slice("outer", [a.address], {"port": PORT}),
        ]
    )
    inner, outer = (proxy.service(name)["service"]["spec"]["clusterIPs"][0] for name in ("inner", "outer"))
    assert [ask(inner, 80), ask(outer, 80), ask(HERE, node_port)] == ["a", "a", "a"]
    assert is_refused(inner, 81)
    table = rows(get(proxy, tmp_path, "services"))
    assert table["NAME"].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "STATE"]
    assert table["inner"].split()[1:5] == ["ClusterIP", inner, "<none>", "80/TCP"]
    assert table["outer"].split()[1:5] == ["NodePort", outer, "<none>", f"80:{node_port}/TCP"]
    assert table["inner"].endswith("serving")


def load_balancer(ingress: str, node_port: int, **spec: object) -> Manifest:
    manifest = service("web", port(80, nodePort=node_port), type="LoadBalancer", **spec)
    return manifest | {"status": {"loadBalancer": {"ingress": [{"ip": ingress}]}}}


def test_load_balancer_serves_its_ingress_and_its_node_port(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, tmp_path: Path
) -> None:
    (a,) = echo_backends("a")
    ingress, node_port = places.address(), places.node_port()
    proxy = svcproxy([load_balancer(ingress, node_port), endpoint_slice("web", [a.address], {"port": PORT})])
    assert ask(ingress, 80) == ask(HERE, node_port) == "a"
    assert ingress in rows(get(proxy, tmp_path, "svc"))["web"]


def test_source_ranges_filter_the_ingress_alone_and_follow_edits(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    ingress, node_port = places.address(), places.node_port()
    narrow = load_balancer(ingress, node_port, loadBalancerSourceRanges=["127.0.0.8/29", "127.0.1.0/24"])
    proxy = svcproxy([narrow, endpoint_slice("web", [a.address], {"port": PORT})])
    for inside in ("127.0.0.8", "127.0.0.15", "127.0.1.200"):
        assert ask(ingress, 80, inside) == "a"
    for outside in ("127.0.0.7", "127.0.0.16"):
        with pytest.raises(TimeoutError):
            connect(ingress, 80, outside, timeout=SILENCE)
        assert ask(HERE, node_port, outside) == "a"
    proxy.manifests.put(load_balancer(ingress, node_port))
    eventually(lambda: answers(ingress, "127.0.0.7"), "the edit")


def answers(address: str, source: str) -> bool:
    try:
        connect(address, 80, source, timeout=SILENCE).close()
    except TimeoutError:
        return False
    return True


def test_headless_and_external_name_do_not_listen_and_get_says_why(
    svcproxy: StartSvcproxy, places: Places, tmp_path: Path
) -> None:
    address = places.address()
    proxy = svcproxy(
        [
            service("headless", port(80), clusterIP="None", selector={"app": "web"}),
            pod("a", address, {"echo": PORT}, {"app": "web"}),
            service("outside", type="ExternalName", externalName="example.org"),
            service("nobody", port(80), selector={"app": "nobody"}),
        ]
    )
    assert {event["service"] for event in proxy.events("listening")} <= {"default/nobody"}
    table = rows(get(proxy, tmp_path, "services"))
    assert "not proxied: " in table["headless"]
    assert "headless" in table["headless"].partition("not proxied: ")[2]
    assert "not proxied: " in table["outside"]
    assert "ExternalName" in table["outside"].partition("not proxied: ")[2]
    assert "no usable endpoints: clients are refused" in table["nobody"]


def test_a_service_of_another_proxy_is_left_alone_until_its_label_goes(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, tmp_path: Path
) -> None:
    (a,) = echo_backends("a")
    cluster_ip = places.cluster_ip()
    mine = service("web", port(80), clusterIP=cluster_ip)
    label = {"service.kubernetes.io/service-proxy-name": "another"}
    theirs = mine | {"metadata": mine["metadata"] | {"labels": label}}
    proxy = svcproxy([theirs, endpoint_slice("web", [a.address], {"port": PORT})])
    assert is_refused(cluster_ip, 80)
    assert "another" in rows(get(proxy, tmp_path, "services"))["web"]
    proxy.manifests.put(mine)
    eventually(lambda: not is_refused(cluster_ip, 80), "the label gone")
    assert ask(cluster_ip, 80) == "a"
    proxy.manifests.put(theirs)
    eventually(lambda: is_refused(cluster_ip, 80), "the label back")


def test_legacy_endpoints_lead_to_their_addresses(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    a, b = echo_backends("a", "b")
    cluster_ip = places.cluster_ip()
    legacy = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "web", "namespace": "default"},
        "subsets": [
            {
                "addresses": [{"ip": a.address}],
                "notReadyAddresses": [{"ip": b.address}],
                "ports": [{"port": PORT, "protocol": "TCP"}],
            }
        ],
    }
    svcproxy([service("web", port(80), clusterIP=cluster_ip), legacy])
    assert ask_often(4, cluster_ip, 80) == {"a": 4}


@pytest.mark.parametrize("form", ["List", "ServiceList", "json", "documents", "kubectl"])
def test_forms_of_one_file(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, tmp_path: Path, form: str
) -> None:
    a, b = echo_backends("a", "b")
    cluster_ip = places.cluster_ip()
    web = service("web", port(80, "echo"), clusterIP=cluster_ip, selector={"app": "web"})
    pods = [pod(each.name, each.address, {"echo": PORT}, {"app": "web"}) for each in (a, b)]
    directory = tmp_path / "forms" / "below" / "further"
    directory.mkdir(parents=True)
    everything = {"apiVersion": "v1", "kind": "List", "items": [web, *pods]}
    if form == "List":
        (directory / "all.yml").write_text(yaml.safe_dump(everything))
    elif form == "ServiceList":
        (directory / "services.yaml").write_text(
            yaml.safe_dump_all(
                [
                    {"apiVersion": "v1", "kind": "ServiceList", "items": [web]},
                    {"apiVersion": "v1", "kind": "PodList", "items": pods},
                ]
            )
        )
    elif form == "json":
        (directory / "all.json").write_text(json.dumps(everything))
    elif form == "documents":
        (directory / "all.yaml").write_text("# several\n---\n" + yaml.safe_dump_all([web, None, *pods]) + "---\n")
    else:
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {}}
        (directory / "all.yaml").write_text(yaml.safe_dump_all([deployment, web, *pods], explicit_start=True))
    svcproxy(ManifestDirectory(tmp_path / "forms"))
    assert ask_often(4, cluster_ip, 80) == {"a": 2, "b": 2}


def test_get_tells_of_one_service_in_several_formats(svcproxy: StartSvcproxy, places: Places, tmp_path: Path) -> None:
    cluster_ip = places.cluster_ip()
    proxy = svcproxy([service("web", port(80), clusterIP=cluster_ip, selector={"app": "web"}), service("x", port(81))])
    assert set(rows(get(proxy, tmp_path, "svc", "web"))) == {"NAME", "web"}
    assert rows(get(proxy, tmp_path, "svc", "-A"))["default"].split()[1] in ("web", "x")
    assert "app=web" in rows(get(proxy, tmp_path, "svc", "web", "-o", "wide"))["web"]
    (found,) = json.loads(get(proxy, tmp_path, "svc", "web", "-o", "json").stdout)
    assert found["service"]["spec"]["clusterIPs"] == [cluster_ip]
    assert yaml.safe_load(get(proxy, tmp_path, "svc", "web", "-o", "yaml").stdout) == [found]
    missing = get(proxy, tmp_path, "svc", "none")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == 'service "none" not found in namespace default\n'
