"""Everything moves, by kubectl: pods more and less, ready or not; and the Services without pods or with more addresses.

The traffic follows, and what is connected stays connected.
"""

import http.client
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Self

import pytest

from tests.system.harness.clients import TIMEOUT, curl
from tests.system.harness.eventually import eventually
from tests.system.harness.held import held_endpoints, held_frontends, held_services
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import port, service
from tests.system.harness.myapp import LABELS, ROUNDS, MyApp
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import Svcproxy

pytestmark = pytest.mark.requires("kubectl", "curl")

SERVICE_PORT = 8000


class KeptAlive:
    """An HTTP connection to myapp that stays open, and the pod that it leads to."""

    def __init__(self, myapp: MyApp) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", myapp.node_port, timeout=TIMEOUT)
        self.pod = self.ask()
        self._socket = self._connection.sock

    def ask(self) -> str:
        self._connection.request("GET", "/hostname.html")
        return self._connection.getresponse().read().decode().strip()

    def still_leads_to_its_pod(self) -> bool:
        return self.ask() == self.pod and self._connection.sock is self._socket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_the_loop_follows_pods_that_come_and_go_and_no_stream_drops(
    standalone: Svcproxy, kubectl: Kubectl, myapp: MyApp
) -> None:
    *first, last = myapp.pods
    kubectl.apply(myapp.service, *first)
    four = {each["metadata"]["name"] for each in first}
    myapp.wait_until_led_to(standalone, four)
    assert myapp.loop() == dict.fromkeys(four, ROUNDS // 4)
    with KeptAlive(myapp) as stream:
        kubectl.apply(last)
        myapp.wait_until_led_to(standalone, myapp.names)
        assert myapp.loop() == dict.fromkeys(myapp.names, ROUNDS // 5)
        assert kubectl("delete", "pod", stream.pod).startswith(f'pod "{stream.pod}" deleted')
        left = myapp.names - {stream.pod}
        myapp.wait_until_led_to(standalone, left)
        assert myapp.loop() == dict.fromkeys(left, ROUNDS // 4)
        assert stream.still_leads_to_its_pod()


def test_a_pod_that_is_not_ready_leaves_the_loop_and_returns_with_readiness(
    standalone: Svcproxy, kubectl: Kubectl, myapp: MyApp
) -> None:
    kubectl.apply(myapp.service, *myapp.pods)
    myapp.wait_until_led_to(standalone, myapp.names)
    with KeptAlive(myapp) as stream:
        assert kubectl("get", "pod", stream.pod, "--no-headers").split()[1:3] == ["1/1", "Running"]
        said = kubectl.patch_status("pod", stream.pod, {"conditions": [{"type": "Ready", "status": "False"}]})
        assert said == f"pod/{stream.pod} patched\n"
        assert kubectl("get", "pod", stream.pod, "--no-headers").split()[1:3] == ["0/1", "Running"]
        left = myapp.names - {stream.pod}
        myapp.wait_until_led_to(standalone, left)
        assert myapp.loop() == dict.fromkeys(left, ROUNDS // 4)
        assert stream.still_leads_to_its_pod()
        kubectl.patch_status("pod", stream.pod, {"conditions": [{"type": "Ready", "status": "True"}]})
        myapp.wait_until_led_to(standalone, myapp.names)
        assert set(myapp.loop()) == myapp.names


def test_a_pod_leaves_by_its_label_and_is_shown_no_more(standalone: Svcproxy, kubectl: Kubectl, myapp: MyApp) -> None:
    kubectl.apply(myapp.service, *myapp.pods)
    myapp.wait_until_led_to(standalone, myapp.names)
    assert kubectl("label", "pod", "myapp-a", "release=stable", "--overwrite") == "pod/myapp-a labeled\n"
    left = myapp.names - {"myapp-a"}
    myapp.wait_until_led_to(standalone, left)
    assert kubectl.described("svc", "myapp")["Endpoints"].endswith(" + 1 more...")
    assert set(myapp.loop()) == left


def test_a_weight_given_by_label_reaches_the_scheduler(standalone: Svcproxy, kubectl: Kubectl, myapp: MyApp) -> None:
    kubectl.apply(myapp.service, *myapp.pods)
    kubectl("annotate", "svc", "myapp", "svcproxy.io/scheduler=wrr")
    kubectl("label", "pod", "myapp-a", "svcproxy.io/weight=6")
    place = f"{myapp.backends[0].address}:8080"
    eventually(lambda: standalone.endpoints("myapp").get(place) == 6, "the weight")
    seen = myapp.loop()
    assert seen["myapp-a"] == 6 * ROUNDS // 10
    assert set(seen) == myapp.names


def test_a_headless_service_shows_none_and_nothing_listens(
    standalone: Svcproxy, kubectl: Kubectl, myapp: MyApp
) -> None:
    kubectl.apply(service("myapp-headless", port(80, "http"), selector=LABELS, clusterIP="None"), *myapp.pods)
    ((_, type_, address, *_),) = kubectl.table("svc")
    assert (type_, address) == ("ClusterIP", "None")
    assert kubectl.described("svc", "myapp-headless")["Endpoints"].endswith(" + 2 more...")
    eventually(lambda: "myapp-headless" in held_services(standalone), "the Service is known")
    assert held_services(standalone)["myapp-headless"]["frontends"] == []


def test_how_long_a_change_of_pods_took_is_measured_from_their_readiness(
    standalone: Svcproxy, kubectl: Kubectl, myapp: MyApp
) -> None:
    kubectl.apply(myapp.service)
    eventually(lambda: "myapp" in held_services(standalone), "the Service is known")
    before = changes_measured(standalone)
    # Times of the API are in whole seconds, and what began before the proxy did is not measured.
    ready_since = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="seconds")
    pod = deepcopy(myapp.pods[0])
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": ready_since}]
    kubectl.apply(pod)
    myapp.wait_until_led_to(standalone, {pod["metadata"]["name"]})
    eventually(lambda: changes_measured(standalone) > before, "the change is measured")


def changes_measured(proxy: Svcproxy) -> int:
    name = 'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} '
    (line,) = [line for line in proxy.get("/metrics")[1].splitlines() if line.startswith(name)]
    return int(float(line.removeprefix(name)))


def test_an_external_name_is_shown_and_nothing_listens(standalone: Svcproxy, kubectl: Kubectl) -> None:
    kubectl.apply(service("outside", type="ExternalName", externalName="foo.bar.example.com"))
    ((_, type_, address, external, ports, _),) = kubectl.table("svc")
    assert (type_, address, external, ports) == ("ExternalName", "<none>", "foo.bar.example.com", "<none>")
    eventually(lambda: "outside" in held_services(standalone), "the Service is known")
    assert held_services(standalone)["outside"]["frontends"] == []


def test_a_load_balancers_ingress_node_port_and_cluster_ip_all_lead_to_the_pods(
    standalone: Svcproxy, kubectl: Kubectl, places: Places, myapp: MyApp
) -> None:
    ports = port(SERVICE_PORT, "http", nodePort=myapp.node_port)
    kubectl.apply(service("myapp", ports, selector=LABELS, type="LoadBalancer"), *myapp.pods)
    ((_, _, cluster_ip, external, shown, _),) = kubectl.table("svc")
    assert (external, shown) == ("<pending>", f"{SERVICE_PORT}:{myapp.node_port}/TCP")
    ingress = places.address()
    kubectl.patch_status("svc", "myapp", {"loadBalancer": {"ingress": [{"ip": ingress}]}})
    assert kubectl.table("svc")[0][3] == ingress
    listening = {(ingress, SERVICE_PORT), (cluster_ip, SERVICE_PORT), ("0.0.0.0", myapp.node_port)}
    eventually(lambda: held_frontends(standalone, "myapp") >= listening, "all three addresses listen")
    eventually(lambda: len(held_endpoints(standalone, "myapp")) == 5, "five endpoints")
    for place in (f"{ingress}:{SERVICE_PORT}", f"{cluster_ip}:{SERVICE_PORT}", f"127.0.0.1:{myapp.node_port}"):
        assert {curl(f"http://{place}/").strip() for _ in myapp.names} == myapp.names
