"""Names, by dig: the walk with a headless Service, every type, sizes and transports, and a crowd of strangers."""

import os
import random
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lane import free_port
from tests.system.harness.dig import Dig
from tests.system.harness.eventually import eventually
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.myapp import MyApp
from tests.system.harness.places import Places
from tests.system.harness.process import PATIENCE
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

pytestmark = pytest.mark.requires("dig")

DEFAULT = "default.svc.cluster.local."
HEADLESS = f"myapp-headless.{DEFAULT}"


def dns_address(places: Places) -> str:
    """The tenth address of the service range."""
    start = places.service_range.partition("/")[0]
    return f"{start.rpartition('.')[0]}.{int(start.rpartition('.')[2]) + 10}"


def crowd(number: int) -> list[Manifest]:
    """A headless Service with so many endpoints, in slices of a hundred as the API server cuts them."""
    addresses = [f"10.1.{i // 250}.{i % 250 + 1}" for i in range(number)]
    slices = [
        endpoint_slice("crowd", addresses[i : i + 100], {"name": "http", "port": 8080}, suffix=str(i))
        for i in range(0, number, 100)
    ]
    return [service("crowd", port(80, name="http"), clusterIP="None"), *slices]


@pytest.mark.requires("kubectl")
def test_a_headless_service_is_its_pods_and_the_names_follow_them(
    standalone: Svcproxy, kubectl: Kubectl, myapp: MyApp
) -> None:
    spec = myapp.service["spec"]
    headless = service("myapp-headless", *spec["ports"], clusterIP="None", selector=spec["selector"])
    for each in headless["spec"]["ports"]:
        each.pop("nodePort", None)
    kubectl.apply(myapp.service, headless, *myapp.pods)
    dig = Dig(standalone)
    pods = {each["metadata"]["name"]: each["status"]["podIP"] for each in myapp.pods}

    def addresses() -> set[str]:
        return set(dig("-t", "A", HEADLESS).values)

    eventually(lambda: addresses() == set(pods.values()), "the five pods' addresses")
    answered = dig("-t", "A", HEADLESS)
    assert [(name, ttl, kind) for name, ttl, kind, _ in answered.answers] == [(HEADLESS, 5, "A")] * 5
    assert {"qr", "aa"} <= answered.flags
    cluster_ip = kubectl.read("svc", "myapp")["spec"]["clusterIP"]
    assert dig("-t", "A", f"myapp.{DEFAULT}").answers == [(f"myapp.{DEFAULT}", 5, "A", cluster_ip)]

    gone, unready, *left = pods
    kubectl("delete", "pod", gone)
    eventually(lambda: addresses() == set(pods.values()) - {pods[gone]}, "a pod less")
    conditions = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    kubectl.patch("pod", unready, conditions, "--subresource=status")
    eventually(lambda: addresses() == {pods[each] for each in left}, "a pod that is not ready")
    kubectl.patch("svc", "myapp-headless", {"spec": {"publishNotReadyAddresses": True}})
    eventually(lambda: addresses() == set(pods.values()) - {pods[gone]}, "a pod that need not be ready")
    kubectl("delete", "svc", "myapp-headless")
    eventually(lambda: dig("-t", "A", HEADLESS).code == "NXDOMAIN", "a Service less")


@pytest.fixture
def dig(svcproxy: StartSvcproxy, places: Places) -> Dig:
    pods: list[str | Mapping[str, object]] = [
        {"addresses": ["10.1.0.1"], "hostname": "one"},
        {"addresses": ["10.1.0.2"]},
        {"addresses": ["10.1.0.3"], "conditions": {"ready": False}},
    ]
    ipv6 = {"addressType": "IPv6"}
    process = svcproxy(
        [
            service("web", port(8080, name="http"), clusterIP=places.cluster_ip()),
            service("pods", port(80, name="http"), clusterIP="None"),
            endpoint_slice("pods", pods, {"name": "http", "port": 9090}),
            endpoint_slice("pods", ["2001:db8::1"], {"name": "http", "port": 9090}, suffix="6") | ipv6,
            service("outside", type="ExternalName", externalName="foo.bar.example.com"),
        ],
        configuration={"dns": {"upstream": "none"}},
    )
    return Dig(process)


def test_every_type_is_answered(dig: Dig) -> None:
    (address,) = dig("-t", "A", f"web.{DEFAULT}").values
    assert dig("-x", address).values == [f"web.{DEFAULT}"]
    assert dig("-t", "SRV", f"_http._tcp.web.{DEFAULT}").values == [f"0 100 8080 web.{DEFAULT}"]
    assert dig("-t", "AAAA", f"pods.{DEFAULT}").values == ["2001:db8::1"]
    assert sorted(dig("-t", "SRV", f"_http._tcp.pods.{DEFAULT}").values) == [
        f"0 33 9090 10-1-0-2.pods.{DEFAULT}",
        f"0 33 9090 2001-db8--1.pods.{DEFAULT}",
        f"0 33 9090 one.pods.{DEFAULT}",
    ]
    assert dig(f"one.pods.{DEFAULT}").values == ["10.1.0.1"]
    assert dig(f"10-1-0-2.pods.{DEFAULT}").values == ["10.1.0.2"]
    assert dig("-x", "10.1.0.1").values == [f"one.pods.{DEFAULT}"]
    assert dig("-x", "2001:db8::1").values == [f"2001-db8--1.pods.{DEFAULT}"]
    assert dig("-t", "CNAME", f"outside.{DEFAULT}").values == ["foo.bar.example.com."]
    assert dig("-t", "TXT", "dns-version.cluster.local.").values == ['"1.1.0"']
    assert dig("10-1-2-3.default.pod.cluster.local.").values == ["10.1.2.3"]


def test_what_is_not_there_is_told_from_what_lacks_the_type(dig: Dig) -> None:
    missing, lacking = dig(f"nobody.{DEFAULT}"), dig("-t", "AAAA", f"web.{DEFAULT}")
    assert (missing.code, lacking.code) == ("NXDOMAIN", "NOERROR")
    assert missing.answers == lacking.answers == []
    assert all("SOA\tns.dns.cluster.local." in each.text for each in (missing, lacking))
    assert dig("www.example.com.").code == "REFUSED"
    assert dig(f"three.pods.{DEFAULT}").code == "NXDOMAIN"


@pytest.mark.parametrize("flag", ["+tcp", "+bufsize=512", "+noedns", "+dnssec", "+nocookie", "+norecurse", "+keepopen"])
def test_an_answer_is_the_same_however_it_is_asked_for(dig: Dig, flag: str) -> None:
    assert sorted(dig(flag, f"pods.{DEFAULT}").values) == ["10.1.0.1", "10.1.0.2"]
    assert dig(flag, f"PODS.{DEFAULT.upper()}").answers[0][0] == f"PODS.{DEFAULT.upper()}"


def test_answers_take_turns(dig: Dig) -> None:
    assert {dig(f"pods.{DEFAULT}").values[0] for _ in range(4)} == {"10.1.0.1", "10.1.0.2"}


def test_a_thousand_endpoints_come_over_tcp_where_a_datagram_says_that_it_is_cut_off(svcproxy: StartSvcproxy) -> None:
    dig = Dig(svcproxy(crowd(1000)))
    name = f"crowd.{DEFAULT}"
    cut = dig("+ignore", "+bufsize=512", name)
    assert "tc" in cut.flags
    assert 0 < len(cut.values) < 40
    retried = dig(name)
    assert "(TCP)" in retried.text
    assert len(set(retried.values)) == 1000
    assert len(dig("+tcp", "-t", "SRV", f"_http._tcp.{name}").values) == 1000


def test_it_is_the_tenth_address_and_another_port_where_53_is_taken(svcproxy: StartSvcproxy, places: Places) -> None:
    host = dns_address(places)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        if os.geteuid() == 0:
            taken.bind((host, 53))
        dig = Dig(svcproxy())
    assert (dig.host, dig.port) == (host, 10053)


def test_a_taken_address_is_said_and_had_as_soon_as_it_is_free(svcproxy: StartSvcproxy, places: Places) -> None:
    address = places.address()
    with socket.create_server((address, 10053)):
        process = svcproxy((), f"--dns={address}:10053")
        line = process.wait_for("cannot serve DNS")
        assert f"cannot listen on {address}:10053/TCP: port 10053 is taken" in line
        assert "--dns ADDR:PORT|off" in line
    process.wait_for_event("serving DNS", address=address, port=10053)
    assert Dig(process)("dns-version.cluster.local.", "TXT").values == ['"1.1.0"']


@pytest.mark.requires("unshare", "mount", "getent")
def test_a_program_finds_services_by_their_short_names(svcproxy: StartSvcproxy, places: Places, tmp_path: Path) -> None:
    """Through the C library, with the resolv.conf of a Pod in a mount namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("not permitted: port 53 and a mount namespace")
    address, cluster_ip = places.address(), places.cluster_ip()
    pods = endpoint_slice("pods", [{"addresses": ["10.1.0.1"], "hostname": "one"}, "10.1.0.2"], {"port": 80})
    outside = service("outside", type="ExternalName", externalName="web.default.svc.cluster.local")
    web, headless = service("web", port(80), clusterIP=cluster_ip), service("pods", port(80), clusterIP="None")
    manifests, alone = [web, headless, pods, outside], {"dns": {"upstream": "none"}}
    svcproxy(manifests, f"--dns={address}:53", configuration=alone).wait_for_event("serving DNS")
    search = "default.svc.cluster.local svc.cluster.local cluster.local"
    (tmp_path / "resolv.conf").write_text(f"nameserver {address}\nsearch {search}\noptions ndots:5\n")

    def found(name: str) -> set[str]:
        inside = 'mount --bind "$0" /etc/resolv.conf && exec getent -A -s dns ahostsv4 "$1"'
        command = ["unshare", "--mount", "sh", "-c", inside, str(tmp_path / "resolv.conf"), name]
        answered = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert answered.returncode in (0, 2), answered.stderr
        return {line.split()[0] for line in answered.stdout.splitlines()}

    for name in ("web", "web.default", "web.default.svc", "web.default.svc.cluster.local", "outside"):
        assert found(name) == {cluster_ip}
    assert found("pods") == {"10.1.0.1", "10.1.0.2"}
    assert found("one.pods") == {"10.1.0.1"}
    assert found("nobody") == set()


def test_off_is_off(svcproxy: StartSvcproxy) -> None:
    process = svcproxy((), "--dns=off")
    assert process.stop() == 0
    assert process.events("serving DNS") == []


def test_what_is_answered_is_listed_and_counted(svcproxy: StartSvcproxy, places: Places) -> None:
    process = svcproxy([service("web", port(8080), clusterIP=places.cluster_ip())])
    dig = Dig(process)
    assert dig(f"web.{DEFAULT}").values != []
    assert dig(f"nobody.{DEFAULT}").values == []
    _, metrics = process.get("/metrics")
    assert 'svcproxy_dns_answers_total{rcode="NOERROR",transport="udp",type="A"} 1.0' in metrics
    assert 'svcproxy_dns_answers_total{rcode="NXDOMAIN",transport="udp",type="A"} 1.0' in metrics
    _, names = process.get("/api/v1/names")
    assert f'"name":"web.{DEFAULT}"' in names


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as each:
        yield each


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_flood_of_nonsense_leaves_no_trace(
    svcproxy: StartSvcproxy, places: Places, stack: ExitStack, family: socket.AddressFamily
) -> None:
    """Among it what took dnspython a second to read."""
    flags = [f"--dns=[::1]:{free_port()}"] if family == socket.AF_INET6 else []
    process = svcproxy([service("web", port(8080), clusterIP=places.cluster_ip())], *flags)
    dig = Dig(process)
    noise = random.Random(7)
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0\3web\7default\3svc\7cluster\5local\0\0\1\0\1"
    deep = b"\1a" * 120 + b"\0\0\1\0\1" + b"\xc0\x0c\0\5\0\1\0\0\0\0\0\2\xc0\x0c" * 274
    deep = b"\0\1\1\0\0\1\0\0\0\0\1\x12" + deep
    stranger = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    for number in range(5000):
        data = bytearray(question if number % 2 else noise.randbytes(noise.randrange(120)))
        for _ in range(number % 7):
            if data:
                data[noise.randrange(len(data))] = noise.randrange(256)
        stranger.sendto(deep if number % 20 == 0 else data, (dig.host, dig.port))
    streams = [stack.enter_context(socket.create_connection((dig.host, dig.port))) for _ in range(200)]
    for stream in streams:
        try:
            stream.sendall(noise.randbytes(noise.randrange(2000)))
        except OSError:
            continue  # the connections that were idle for the longest made room
    assert dig(f"web.{DEFAULT}").values != []
    assert dig("+tcp", f"web.{DEFAULT}").values != []
    levels = {event["level"] for name in ("serving DNS", "serving") for event in process.events(name)}
    assert levels == {"info"}
    assert not any('"level": "error"' in line or "Traceback" in line for line in process.stderr)
