"""Health as load balancers ask for it: curl, on both families, also while the data plane is full."""

import json
import shutil
import socket
import subprocess
from contextlib import ExitStack

import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import connect
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import HEALTH_PORT, StartSvcproxy, Svcproxy

pytestmark = pytest.mark.requires("curl")

HERE = "127.0.0.1"
UNDER_64 = ("bash", "-c", 'ulimit -n 64; exec "$@"', "bash")
NODE = "node-a"


def curl(*arguments: str) -> tuple[int, str]:
    """Status, and headers and body."""
    program = shutil.which("curl") or "curl"
    done = subprocess.run(
        [program, "-sS", "-i", "--max-time", "10", "-o", "-", "-w", "\n%{http_code}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    text, _, code = done.stdout.rpartition("\n")
    return int(code or 0), text.replace("\r\n", "\n")


def healthz(proxy: Svcproxy, path: str = "/healthz") -> tuple[int, dict[str, object]]:
    code, text = curl(f"http://{proxy.status_address}:{HEALTH_PORT}{path}")
    return code, json.loads(text.partition("\n\n")[2])


def local_service(node_port: int, health_port: int) -> Manifest:
    return service(
        "web",
        port(80, nodePort=node_port),
        type="LoadBalancer",
        externalTrafficPolicy="Local",
        healthCheckNodePort=health_port,
    )


def own_node(**spec: object) -> Manifest:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": spec}


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_health_check_port_follows_its_service(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, host: str
) -> None:
    (a,) = echo_backends("a")
    node_port, health_port = places.node_port(), places.node_port()
    web = local_service(node_port, health_port)
    here = {"addresses": [a.address], "nodeName": NODE}
    families = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}
    web["spec"] |= families
    six = endpoint_slice("web", [{"addresses": ["fd00::1"], "nodeName": NODE}], {"port": 80}, suffix="6")
    proxy = svcproxy(
        [web, endpoint_slice("web", [here], {"port": a.port}), six | {"addressType": "IPv6"}],
        "--hostname-override",
        NODE,
        configuration={"serviceClusterIPRange": [places.service_range, "fd00:96::/112"]},
    )
    url = f"http://{host}:{health_port}/whatever"
    eventually(lambda: curl(url)[0] == 200, "a good answer")
    code, text = curl("-X", "POST", url)
    head, _, body = text.partition("\n\n")
    assert code == 200
    assert "X-Load-Balancing-Endpoint-Weight: 1" in head
    assert body == (
        '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n'
        '\t"localEndpoints": 1,\n\t"serviceProxyHealthy": true\n}'
    )
    gone = [endpoint_slice("web", [here | {"nodeName": "elsewhere"}], {"port": a.port})]
    gone += [six | {"addressType": "IPv6", "endpoints": []}]
    proxy.manifests.put(*gone)
    eventually(lambda: curl(url)[0] == 503, "a bad answer")
    web["spec"] = {key: value for key, value in web["spec"].items() if key != "healthCheckNodePort"}
    proxy.manifests.put(web | {"spec": web["spec"] | {"externalTrafficPolicy": "Cluster"}})
    eventually(lambda: curl(url)[0] == 0, "a closed port")


def test_health_is_answered_while_the_data_plane_has_no_descriptor_left(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    node_port, health_port = places.node_port(), places.node_port()
    here = {"addresses": [a.address], "nodeName": NODE}
    proxy = svcproxy(
        [local_service(node_port, health_port), endpoint_slice("web", [here], {"port": a.port})],
        "--hostname-override",
        NODE,
        under=UNDER_64,
    )
    with ExitStack() as stack:
        clients: list[socket.socket] = [stack.enter_context(connect(HERE, node_port)) for _ in range(60)]
        proxy.wait_for("out of file descriptors")
        assert len(clients) == 60
        for _ in range(5):
            assert curl(f"http://{HERE}:{health_port}/")[0] == 200
            assert healthz(proxy)[0] == healthz(proxy, "/livez")[0] == 200
            assert curl(f"http://{proxy.status_address}:10249/metrics")[0] == 200


def test_a_node_that_is_about_to_go_wants_no_new_traffic(svcproxy: StartSvcproxy) -> None:
    proxy = svcproxy([own_node()], "--hostname-override", NODE)
    assert healthz(proxy)[1]["nodeEligible"] is True
    proxy.manifests.put(own_node(taints=[{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]))
    eventually(lambda: healthz(proxy)[0] == 503, "an ineligible node")
    assert healthz(proxy, "/livez")[0] == 200
    proxy.manifests.put(own_node())
    eventually(lambda: healthz(proxy)[0] == 200, "an eligible node")
    proxy.manifests.remove(own_node())
    eventually(lambda: healthz(proxy)[1]["nodeEligible"] is False, "a deleted node")
