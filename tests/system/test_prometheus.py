"""The shipped dashboard and alerts, evaluated by a real Prometheus on real traffic with faults."""

import contextlib
import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest
import yaml

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask, ask_udp, connect
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.process import Process
from tests.system.harness.svcproxy import METRICS_PORT, StartSvcproxy, environment_in

MONITORING = Path(__file__).parents[2] / "config" / "monitoring"
OF_A_CLUSTER = ("svcproxy_watch_", "svcproxy_known_state_", "svcproxy_serving_known_state")
"""Metrics that are there, or other than 0, where a cluster is followed."""
BROADCAST = "127.255.255.255"
"""Where no datagram may be sent, so that no flow begins."""
FAULTS = frozenset(
    (
        "SvcproxyConnectionsFail",
        "SvcproxyDatagramsFail",
        "SvcproxyFrontendsUnbound",
        "SvcproxyServiceWithoutEndpoints",
        "SvcproxyServicesFailing",
    )
)
"""Alerts whose faults this test makes."""


class Prometheus(Process):
    """Scrapes one proxy every second. `found` is what an expression gives now."""

    def __init__(self, directory: Path, address: str, target: str) -> None:
        config = directory / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: svcproxy, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        self._server = f"{address}:9090"
        words = (
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address={self._server}",
        )
        super().__init__([shutil.which("prometheus") or "prometheus", *words], directory, environment_in(directory))

    def found(self, expression: str) -> list[Any]:
        query = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"http://{self._server}/api/v1/query?{query}", timeout=10) as answer:
                result: list[Any] = json.load(answer)["data"]["result"]
                return result
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error
        except OSError:
            return []  # it is not there yet


@pytest.fixture
def started() -> Iterator[list[Process]]:
    processes: list[Process] = []
    yield processes
    assert [orphan for process in processes for orphan in process.close()] == []


def panels() -> dict[str, str]:
    """The expressions of the dashboard that a proxy without a cluster answers, by the title of the panel."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    return {
        f"{panel['title']} {number}": expression
        for panel in dashboard["panels"]
        for number, target in enumerate(panel.get("targets", ()))
        if not any(name in (expression := plain(target["expr"])) for name in OF_A_CLUSTER)
    }


def plain(expression: str) -> str:
    """Without Grafana's variables: any value, and a range of some scrapes."""
    for name in ("instance", "namespace", "service", "job"):
        expression = expression.replace(f'"${name}"', '".*"').replace(f'"${{{name}}}"', '".*"')
    return expression.replace("$__rate_interval", "30s").replace("$__range", "30s")


def alerts() -> dict[str, str]:
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


@pytest.mark.requires("prometheus")
def test_every_panel_has_something_to_show_and_alerts_see_their_faults(
    svcproxy: StartSvcproxy,
    echo_backends: StartBackends,
    udp_backends: StartBackends,
    places: Places,
    tmp_path: Path,
    started: list[Process],
) -> None:
    web, mixed, dead, udp_service, deaf = (places.cluster_ip() for _ in range(5))
    closed, clients = places.address(), (places.address(), places.address())
    good, answering, nobody = echo_backends("a")[0].address, udp_backends("u")[0].address, places.address()
    udp = {"port": 7007, "protocol": "UDP"}
    proxy = svcproxy(
        (
            service("web", port(80, 7007), clusterIP=web, sessionAffinity="ClientIP"),
            endpoint_slice("web", [good], {"port": 7007}),
            service("mixed", port(80, 7007), clusterIP=mixed),
            endpoint_slice("mixed", [good, nobody], {"port": 7007}),
            service("dead", port(80, 7007), clusterIP=dead),
            endpoint_slice("dead", [nobody], {"port": 7007}),
            service("dns", port(53, 7007, protocol="UDP"), clusterIP=udp_service),
            endpoint_slice("dns", [answering], udp),
            service("deaf", port(53, 7007, protocol="UDP"), clusterIP=deaf),
            endpoint_slice("deaf", [BROADCAST], udp),
            service(
                "closed",
                port(53, 7007, protocol="UDP"),
                type="LoadBalancer",
                allocateLoadBalancerNodePorts=False,
                loadBalancerSourceRanges=["192.0.2.0/24"],
            )
            | {"status": {"loadBalancer": {"ingress": [{"ip": closed}]}}},
            endpoint_slice("closed", [answering], udp),
            service("none", port(80), selector={"app": "none"}),
            service("far", port(80), externalIPs=["192.0.2.77"], selector={"app": "none"}),
        ),
        configuration={"metricsPerEndpoint": True, "affinityEntries": 1},
    )
    prometheus = Prometheus(tmp_path, places.address(), f"{proxy.status_address}:{METRICS_PORT}")
    started.append(prometheus)

    names = proxy.wait_for_event("serving DNS")
    question = dns.message.make_query("web.default.svc.cluster.local.", "A")

    def traffic() -> None:
        dns.query.udp(question, str(names["address"]), port=int(str(names["port"])), timeout=10)
        for client in clients:
            assert ask(web, 80, client) == "a"
        assert ask(mixed, 80) == "a"
        assert ask_udp(udp_service, 53) == "u"
        for _ in range(3):
            with contextlib.suppress(OSError), connect(dead, 80) as socket:
                socket.recv(1)
        for address in (deaf, closed):
            with contextlib.suppress(OSError):
                ask_udp(address, 53, timeout=0.05)

    def missing() -> list[str]:
        traffic()
        wanted = panels() | {name: text for name, text in alerts().items() if name in FAULTS}
        return [name for name, expression in wanted.items() if not prometheus.found(expression)]

    left: list[str] = []

    def complete() -> bool:
        left[:] = missing()
        return not left

    try:
        eventually(complete, "something for every panel and alert", timeout=45)
    except AssertionError as error:
        raise AssertionError(f"nothing for {left}") from error
