"""A session with kubectl: what it says, and what the traffic does next.

Types of Services, affinity, refusals, both kinds of apply, a watch, explanations. Pods that come and go have a file of
their own.
"""

from contextlib import ExitStack

import pytest

from tests.system.harness.backends import echo_backend
from tests.system.harness.clients import ask, is_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.held import held_endpoints, held_pool_settings, held_services
from tests.system.harness.kubectl import Kubectl, as_list
from tests.system.harness.manifests import Manifest, pod, port, service
from tests.system.harness.myapp import LABELS, ROUNDS, MyApp
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import Svcproxy

pytestmark = pytest.mark.requires("kubectl", "curl")

CLIENT_IP = {"spec": {"sessionAffinity": "ClientIP"}}
NONE = {"spec": {"sessionAffinity": "None"}}


@pytest.fixture
def applied(standalone: Svcproxy, kubectl: Kubectl, myapp: MyApp) -> list[str]:
    """What kubectl said when myapp was applied; the proxy leads to all five pods."""
    lines = kubectl.apply(myapp.service, *myapp.pods)
    myapp.wait_until_led_to(standalone, myapp.names)
    return lines


@pytest.fixture
def redis(places: Places, backend_stack: ExitStack) -> list[Manifest]:
    labels = {"app": "redis", "role": "logstor"}
    backend = backend_stack.enter_context(echo_backend("redis-a", places.address(), 6379))
    return [
        service("redis", port(6379, 6379), selector=labels, type="ClusterIP"),
        pod("redis-a", backend.address, {"redis": 6379}, labels),
    ]


def wait_for_settings(proxy: Svcproxy, scheduler: str = "rr", affinity_seconds: int = 0) -> None:
    expected = [(scheduler, affinity_seconds)]
    eventually(lambda: held_pool_settings(proxy, "myapp") == expected, f"{expected} at the data plane")


def test_a_cluster_ip_service_is_shown_and_described_as_a_cluster_would(
    standalone: Svcproxy, kubectl: Kubectl, redis: list[Manifest]
) -> None:
    assert kubectl.apply(*redis) == ["service/redis created", "pod/redis-a created"]
    ((name, type_, address, external, ports, _),) = kubectl.table("svc", "redis")
    assert (name, type_, external, ports) == ("redis", "ClusterIP", "<none>", "6379/TCP")
    described = kubectl.described("svc", "redis")
    assert described["Selector"] == "app=redis,role=logstor"
    assert described["Type"] == "ClusterIP"
    assert described["IP"] == address
    assert described["Port"] == "<unset> 6379/TCP"
    assert described["TargetPort"] == "6379/TCP"
    assert described["Endpoints"] == f"{redis[1]['status']['podIP']}:6379"
    assert described["Session Affinity"] == "None"
    eventually(lambda: held_endpoints(standalone, "redis"), "the endpoint")
    assert ask(address, 6379) == "redis-a"


def test_a_node_port_service_shows_its_port_and_goes_round_five_pods(
    kubectl: Kubectl, applied: list[str], myapp: MyApp
) -> None:
    assert applied == ["service/myapp created", *(f"pod/{name} created" for name in sorted(myapp.names))]
    ((name, type_, address, external, ports, age, selector),) = kubectl.table("svc", "myapp", "-o", "wide")
    assert (name, type_, external, ports) == ("myapp", "NodePort", "<none>", f"80:{myapp.node_port}/TCP")
    assert selector == "app=myapp,release=canary"
    assert age.endswith("s")
    yaml = kubectl("get", "svc", "myapp", "-o", "yaml").splitlines()
    assert f"  clusterIP: {address}" in yaml
    assert f"  - nodePort: {myapp.node_port}" in yaml
    assert "  sessionAffinity: None" in yaml
    assert myapp.loop() == dict.fromkeys(myapp.names, ROUNDS // 5)


def test_five_endpoints_are_shown_as_three_and_two_more(kubectl: Kubectl, applied: list[str], myapp: MyApp) -> None:
    addresses = {each.address for each in myapp.backends}
    ((name, family, ports, shown, *more, _),) = kubectl.table("endpointslices")
    assert name.startswith("myapp-")
    assert (family, ports, more) == ("IPv4", "8080", ["+", "2", "more..."])
    assert len(shown.split(",")) == 3
    assert set(shown.split(",")) < addresses
    described, *more = kubectl.described("svc", "myapp")["Endpoints"].split()
    assert more == ["+", "2", "more..."]
    assert described == ",".join(f"{address}:8080" for address in shown.split(","))
    (subset,) = kubectl.read("endpoints", "myapp")["subsets"]
    assert {each["ip"] for each in subset["addresses"]} == addresses


def test_a_node_port_left_out_is_given_from_the_range(kubectl: Kubectl, places: Places) -> None:
    kubectl.apply(service("web", port(80), selector=LABELS, type="NodePort"))
    first, last = places.node_port_range.split("-")
    assert int(first) <= kubectl.read("svc", "web")["spec"]["ports"][0]["nodePort"] <= int(last)


def test_affinity_is_switched_by_patch_and_back(
    standalone: Svcproxy, kubectl: Kubectl, applied: list[str], myapp: MyApp
) -> None:
    assert kubectl.patch("svc", "myapp", CLIENT_IP) == "service/myapp patched\n"
    assert kubectl.described("svc", "myapp")["Session Affinity"] == "ClientIP"
    wait_for_settings(standalone, affinity_seconds=10800)
    assert list(myapp.loop().values()) == [ROUNDS]
    assert kubectl.patch("svc", "myapp", CLIENT_IP) == "service/myapp patched (no change)\n"
    assert kubectl.patch("svc", "myapp", NONE) == "service/myapp patched\n"
    wait_for_settings(standalone)
    assert myapp.loop() == dict.fromkeys(myapp.names, ROUNDS // 5)


def test_affinity_is_switched_by_applying_the_changed_manifest(
    standalone: Svcproxy, kubectl: Kubectl, applied: list[str], myapp: MyApp
) -> None:
    sticky = myapp.service | {"spec": myapp.service["spec"] | {"sessionAffinity": "ClientIP"}}
    assert kubectl.apply(sticky) == ["service/myapp configured"]
    assert kubectl.read("svc", "myapp")["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    wait_for_settings(standalone, affinity_seconds=10800)
    assert list(myapp.loop().values()) == [ROUNDS]


def test_affinity_is_switched_in_an_editor(
    standalone: Svcproxy, kubectl: Kubectl, applied: list[str], myapp: MyApp
) -> None:
    editor = "sed -i s/Affinity:.None/Affinity:\\ ClientIP/"
    assert kubectl.edit("svc", "myapp", editor) == "service/myapp edited\n"
    wait_for_settings(standalone, affinity_seconds=10800)
    assert list(myapp.loop().values()) == [ROUNDS]


def test_a_scheduler_named_by_annotation_is_taken_on_the_spot(
    standalone: Svcproxy, kubectl: Kubectl, applied: list[str], myapp: MyApp
) -> None:
    assert kubectl("annotate", "svc", "myapp", "svcproxy.io/scheduler=sh") == "service/myapp annotated\n"
    wait_for_settings(standalone, scheduler="sh")
    assert list(myapp.loop().values()) == [ROUNDS]


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        (
            {"spec": {"sessionAffinity": "ClusterIP"}},
            'spec.sessionAffinity: Unsupported value: "ClusterIP": supported values: "ClientIP", "None"',
        ),
        (
            {"spec": {"ports": [{"port": 80, "nodePort": 1}]}},
            "spec.ports[0].nodePort: Invalid value: 1: provided port is not in the valid range. "
            "The range of valid ports is RANGE",
        ),
    ],
)
def test_a_bad_patch_is_refused_in_the_apis_words_and_changes_nothing(
    kubectl: Kubectl, applied: list[str], myapp: MyApp, places: Places, patch: object, complaint: str
) -> None:
    before = kubectl.read("svc", "myapp")
    expected = complaint.replace("RANGE", places.node_port_range)
    assert kubectl.refused_patch("svc", "myapp", patch).startswith(f'The Service "myapp" is invalid: {expected}')
    assert kubectl.read("svc", "myapp") == before
    assert myapp.loop() == dict.fromkeys(myapp.names, ROUNDS // 5)


def test_applying_twice_says_unchanged_and_is(kubectl: Kubectl, applied: list[str], myapp: MyApp) -> None:
    before = kubectl.read("svc", "myapp")
    assert kubectl.apply(myapp.service, *myapp.pods) == [line.replace("created", "unchanged") for line in applied]
    assert kubectl.read("svc", "myapp") == before


def test_server_side_apply_keeps_others_off_its_fields(kubectl: Kubectl) -> None:
    ours, theirs = (service("web", port(80, target), selector=LABELS) for target in ("http", "other"))
    for _ in range(2):
        assert kubectl.apply(ours, flags=("--server-side",)) == ["service/web serverside-applied"]
    as_other = ("--server-side", "--field-manager=other")
    complaint = kubectl.refused("apply", *as_other, "-f", "-", stdin=as_list(theirs))
    assert 'conflict with "kubectl"' in complaint
    assert ".spec.ports" in complaint
    assert kubectl.read("svc", "web")["spec"]["ports"][0]["targetPort"] == "http"
    kubectl.apply(theirs, flags=(*as_other, "--force-conflicts"))
    assert kubectl.read("svc", "web")["spec"]["ports"][0]["targetPort"] == "other"


def test_labels_are_selected_by(kubectl: Kubectl, myapp: MyApp) -> None:
    kubectl.apply(myapp.service)
    assert kubectl("label", "svc", "myapp", "team=shop") == "service/myapp labeled\n"
    assert [row[0] for row in kubectl.table("svc", "-l", "team=shop")] == ["myapp"]
    assert kubectl.table("svc", "-l", "team!=shop") == []
    kubectl("label", "svc", "myapp", "team-")
    assert kubectl.table("svc", "-l", "team=shop") == []


def test_what_is_deleted_listens_no_more(
    standalone: Svcproxy, kubectl: Kubectl, applied: list[str], myapp: MyApp
) -> None:
    assert kubectl("delete", "svc", "myapp").startswith('service "myapp" deleted')
    eventually(lambda: not held_services(standalone), "the Service is gone")
    assert is_refused("127.0.0.1", myapp.node_port)
    assert 'services "myapp" not found' in kubectl.refused("get", "svc", "myapp")
    eventually(lambda: kubectl.table("endpointslices") == [], "the slice is gone as well")


def test_a_watch_in_the_background_sees_it_all(kubectl: Kubectl, redis: list[Manifest], myapp: MyApp) -> None:
    kubectl.apply(redis[0])
    with kubectl.started("get", "svc", "--watch", "--output-watch-events") as watch:
        watch.wait_for("redis")
        kubectl.apply(myapp.service)
        kubectl.patch("svc", "myapp", {"spec": {"ports": [{"port": 80, "name": "web"}]}})
        kubectl("delete", "svc", "redis")
        watch.wait_for("DELETED")
        events = [tuple(line.split()[:2]) for line in watch.stdout]
    assert events == [
        ("EVENT", "NAME"),
        ("ADDED", "redis"),
        ("ADDED", "myapp"),
        ("MODIFIED", "myapp"),
        ("DELETED", "redis"),
    ]


def test_a_dry_run_at_the_server_says_what_would_be_and_does_nothing(kubectl: Kubectl, myapp: MyApp) -> None:
    assert kubectl.apply(myapp.service, flags=("--dry-run=server",)) == ["service/myapp created (server dry run)"]
    assert kubectl.table("svc") == []
    kubectl.apply(myapp.service)
    kubectl.patch("svc", "myapp", CLIENT_IP, "--dry-run=server")
    assert kubectl.read("svc", "myapp")["spec"]["sessionAffinity"] == "None"


def test_an_unknown_field_is_named(kubectl: Kubectl, myapp: MyApp) -> None:
    misspelt = myapp.service | {"spec": myapp.service["spec"] | {"sessionAfinity": "ClientIP"}}
    complaint = kubectl.refused("apply", "-f", "-", stdin=as_list(misspelt))
    assert "unknown field" in complaint
    assert "sessionAfinity" in complaint
    assert kubectl.table("svc") == []


def test_a_field_is_explained(kubectl: Kubectl) -> None:
    explained = kubectl("explain", "service.spec.sessionAffinity")
    assert "sessionAffinity <string>" in explained
    assert "ClientIP" in explained
