"""A targetPort that no Pod has: every command names those that there are, and so does an Event."""

import io
from pathlib import Path

import pytest

from proxy.cli import main
from tests.system.harness.eventually import eventually
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import Manifest, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import METRICS_PORT, StartSvcproxy, Svcproxy, environment_in

LINE = "no endpoint has a port named `htpp`; there are: `http`, `metrics`"


def typo(places: Places) -> list[Manifest]:
    web = service("web", port(80, "htpp"), clusterIP=places.cluster_ip(), selector={"app": "web"})
    return [web, pod("web-1", places.address(), {"http": 8080, "metrics": 9090}, {"app": "web"})]


def test_get_describe_and_explain_say_it(svcproxy: StartSvcproxy, places: Places, tmp_path: Path) -> None:
    manifests = typo(places)
    proxy = svcproxy(manifests)

    def look(*arguments: str) -> str:
        output = io.StringIO()
        server = f"{proxy.status_address}:{METRICS_PORT}"
        main([*arguments, "--server", server], output, io.StringIO(), environment_in(tmp_path))
        return output.getvalue()

    assert LINE in look("get", "svc")
    assert look("describe", "svc", "web").count(LINE) == 2
    assert f"refused by the kernel: {LINE}" in look("explain", "service", "web")
    assert LINE in proxy.get("/api/v1/problems")[1]


@pytest.mark.requires("kubectl")
def test_the_author_of_the_service_learns_it_from_an_event(
    standalone: Svcproxy, kubectl: Kubectl, places: Places
) -> None:
    kubectl.apply(*typo(places))
    eventually(lambda: LINE in kubectl("describe", "svc", "web"), "the Event")
