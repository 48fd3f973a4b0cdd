"""Both families and a real service range, in a network namespace of the test's own: needs root."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address, ip_network

import pytest

from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

pytestmark = pytest.mark.requires("ip", "curl")

IPV4_RANGE, IPV6_RANGE = "10.96.0.0/12", "fd00:96::/112"
RANGES = {"serviceClusterIPRange": [IPV4_RANGE, IPV6_RANGE]}
BACKENDS = {"IPv4": ("127.0.5.1", 8080), "IPv6": ("::1", 8081)}
DUAL = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
BOTH_WAYS = """
import socket, sys
address, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
family = socket.AF_INET6 if ":" in address else socket.AF_INET
datagrams = socket.socket(family, socket.SOCK_DGRAM)
datagrams.bind((address, port))
with socket.create_server((address, port), family=family) as server:
    print("ready", flush=True)
    import select
    while True:
        for ready in select.select([server, datagrams], [], [])[0]:
            if ready is datagrams:
                data, client = datagrams.recvfrom(1000)
                datagrams.sendto(name + b":" + data, client)
            else:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + name)
"""
ASK_UDP = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as client:
    client.settimeout(10)
    client.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
    answer, sender = client.recvfrom(100)
    print(answer.decode(), sender[0], sender[1])
"""


class Namespace:
    """A network namespace with its loopback interface up; `under` starts programs in it."""

    def __init__(self, name: str) -> None:
        self.under = ("ip", "netns", "exec", name)

    def run(self, *command: str) -> str:
        """What a command in the namespace prints."""
        finished = subprocess.run([*self.under, *command], capture_output=True, text=True, timeout=20, check=True)
        return finished.stdout

    def curl(self, address: str, port: int) -> str:
        """What an HTTP server answers."""
        host = f"[{address}]" if ":" in address else address
        return self.run("curl", "-sS", "--max-time", "10", f"http://{host}:{port}/")

    def ask_udp(self, address: str, port: int) -> list[str]:
        """The answer to a datagram, and the address and port it came from."""
        return self.run(sys.executable, "-c", ASK_UDP, address, str(port)).split()

    def local_routes(self) -> str:
        return self.run("ip", "route", "show", "table", "local") + self.run(
            "ip", "-6", "route", "show", "table", "local"
        )


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    if os.geteuid() != 0:
        pytest.skip("not root: cannot make a network namespace")
    name = f"svcproxy-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, timeout=20, check=False)
    if made.returncode:
        pytest.skip(f"cannot make a network namespace: {made.stderr.strip()}")
    try:
        namespace = Namespace(name)
        namespace.run("ip", "link", "set", "lo", "up")
        with ExitStack() as stack:
            for family, (address, number) in BACKENDS.items():
                start_backend(stack, namespace, address, number, family)
            yield namespace
    finally:
        subprocess.run(["ip", "netns", "delete", name], timeout=20, check=True)


def start_backend(stack: ExitStack, namespace: Namespace, address: str, number: int, name: str) -> None:
    command = [*namespace.under, sys.executable, "-c", BOTH_WAYS, address, str(number), name]
    backend = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    stack.callback(backend.kill)
    assert backend.stdout is not None
    assert backend.stdout.readline() == b"ready\n"


def dual_stack_service(node_port: int, protocol: str = "TCP", **spec: object) -> list[Manifest]:
    web = service("web", port(80, protocol=protocol, nodePort=node_port), type="NodePort", **(DUAL | spec))
    slices = [
        endpoint_slice("web", [address], {"port": number, "protocol": protocol}, suffix=family.lower())
        | {"addressType": family}
        for family, (address, number) in BACKENDS.items()
    ]
    return [web, *slices]


def cluster_ips(proxy: Svcproxy) -> dict[str, str]:
    """The ClusterIP of each family, from what the log says that it listens on."""
    found = {}
    for event in proxy.events("listening"):
        address = ip_address(str(event["frontend"]).partition("/")[0].rpartition(":")[0].strip("[]"))
        if not address.is_unspecified:
            found[f"IPv{address.version}"] = str(address)
    return found


def test_cluster_ips_of_both_families_are_reached_over_routes_that_go_with_the_proxy(
    namespace: Namespace, svcproxy: StartSvcproxy, places: Places
) -> None:
    before = namespace.local_routes()
    node_port = places.node_port()
    proxy = svcproxy(dual_stack_service(node_port), configuration=RANGES, under=namespace.under)
    given = cluster_ips(proxy)
    assert ip_address(given["IPv4"]) in ip_network(IPV4_RANGE)
    assert ip_address(given["IPv6"]) in ip_network(IPV6_RANGE)
    assert f"local {IPV4_RANGE} dev lo" in namespace.local_routes()
    assert f"local {IPV6_RANGE} dev lo" in namespace.local_routes()
    assert {family: namespace.curl(address, 80) for family, address in given.items()} == {
        "IPv4": "IPv4",
        "IPv6": "IPv6",
    }
    assert namespace.curl("127.0.0.1", node_port) == "IPv4"
    assert namespace.curl("::1", node_port) == "IPv6"
    assert proxy.stop() == 0
    assert namespace.local_routes() == before


def test_udp_is_answered_in_both_families_from_the_address_asked(
    namespace: Namespace, svcproxy: StartSvcproxy, places: Places
) -> None:
    node_port = places.node_port()
    proxy = svcproxy(dual_stack_service(node_port, "UDP"), configuration=RANGES, under=namespace.under)
    asked = [(family, address, 80) for family, address in cluster_ips(proxy).items()]
    asked += [("IPv4", "127.0.0.77", node_port), ("IPv6", "::1", node_port)]
    assert len(asked) == 4
    for family, address, number in asked:
        assert namespace.ask_udp(address, number) == [f"{family}:hello", address, str(number)]
    assert proxy.stop() == 0


def test_a_family_without_endpoints_refuses_while_the_other_serves(
    namespace: Namespace, svcproxy: StartSvcproxy, places: Places
) -> None:
    node_port = places.node_port()
    web, ipv4, _ = dual_stack_service(node_port)
    svcproxy([web, ipv4], configuration=RANGES, under=namespace.under)
    assert namespace.curl("127.0.0.1", node_port) == "IPv4"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        namespace.curl("::1", node_port)
    assert "refused" in str(failed.value.stderr) or "connect" in str(failed.value.stderr)


def test_a_single_stack_ipv6_service_has_no_ipv4_address(
    namespace: Namespace, svcproxy: StartSvcproxy, places: Places
) -> None:
    node_port = places.node_port()
    single = dual_stack_service(node_port, ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"])
    proxy = svcproxy(single, configuration=RANGES, under=namespace.under)
    given = cluster_ips(proxy)
    assert set(given) == {"IPv6"}
    assert namespace.curl(given["IPv6"], 80) == namespace.curl("::1", node_port) == "IPv6"
    with pytest.raises(subprocess.CalledProcessError):
        namespace.curl("127.0.0.1", node_port)


def test_a_range_that_was_local_before_stays_so(namespace: Namespace, svcproxy: StartSvcproxy, places: Places) -> None:
    for cidr in (IPV4_RANGE, IPV6_RANGE):
        namespace.run("ip", "route", "add", "local", cidr, "dev", "lo")
    before = namespace.local_routes()
    proxy = svcproxy(dual_stack_service(places.node_port()), configuration=RANGES, under=namespace.under)
    assert {namespace.curl(address, 80) for address in cluster_ips(proxy).values()} == {"IPv4", "IPv6"}
    assert proxy.stop() == 0
    assert namespace.local_routes() == before


@pytest.mark.requires("dig")
def test_names_are_answered_on_the_tenth_address_of_each_range(
    svcproxy: StartSvcproxy, places: Places, namespace: Namespace
) -> None:
    process = svcproxy(
        dual_stack_service(places.node_port()),
        configuration=RANGES | {"dns": {"upstream": "none"}},
        under=namespace.under,
    )
    name = "web.default.svc.cluster.local."
    given = cluster_ips(process)
    ipv4, ipv6 = given["IPv4"], given["IPv6"]
    for address in ("10.96.0.10", "fd00:96::a"):
        process.wait_for_event("serving DNS", address=address, port=53)
        for transport in ("+notcp", "+tcp"):

            def dig(*words: str, at: str = address, by: str = transport) -> str:
                return namespace.run("dig", f"@{at}", by, "+short", "+tries=1", *words)

            assert dig("A", name) == f"{ipv4}\n"
            assert dig("AAAA", name) == f"{ipv6}\n"
            assert dig("-x", ipv4) == f"{name}\n"
            assert dig("-x", ipv6) == f"{name}\n"
    assert sorted(namespace.run("dig", "@10.96.0.10", "+short", "A", "ns.dns.cluster.local.").split()) == ["10.96.0.10"]
    assert "NXDOMAIN" in namespace.run("dig", "@10.96.0.10", "-x", "10.111.255.254")
    assert "REFUSED" in namespace.run("dig", "@10.96.0.10", "-x", "10.112.0.1")
