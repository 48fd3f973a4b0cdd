"""Policy Local: for clients from elsewhere, and not for those of this machine."""

import socket
from functools import partial
from typing import Any

import pytest

from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.clients import ask, ask_udp
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.outside import HERE, HERE6, Outside
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

NODE = "this-node"
BOTH: dict[str, Any] = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}

pytestmark = [pytest.mark.requires("ip")]


def on(node: str, backend: Backend, protocol: str = "TCP", family: str = "IPv4") -> Manifest:
    endpoint = {"addresses": [backend.address], "nodeName": node}
    suffix = f"{node}-{family.lower()}"
    made = endpoint_slice("web", [endpoint], {"port": backend.port, "protocol": protocol}, suffix=suffix)
    return made | {"addressType": family}


def web(node_port: int, protocol: str = "TCP", **spec: Any) -> Manifest:
    ports = port(80, protocol=protocol, nodePort=node_port)
    return service("web", ports, type="NodePort", externalTrafficPolicy="Local", **spec)


@pytest.mark.parametrize("capture", ["bind", "sklookup"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_client_of_this_machine_uses_all_endpoints_and_one_from_elsewhere_the_local_ones(
    outside: Outside,
    svcproxy: StartSvcproxy,
    places: Places,
    echo_backends: StartBackends,
    capture: str,
    workers: int,
) -> None:
    away, near = echo_backends("away", "near")
    node_port = places.node_port()
    settings = {"hostnameOverride": NODE, "capture": capture, "workers": workers}
    proxy = svcproxy([web(node_port), on("other-node", away)], configuration=settings)
    assert {ask("127.0.0.1", node_port), ask(HERE, node_port)} == {"away"}
    with pytest.raises(TimeoutError):
        outside.ask(HERE, node_port)
    proxy.manifests.put(on(NODE, near))
    eventually(lambda: len(proxy.endpoints("web")) == 2, "the local endpoint")
    assert {outside.ask(HERE, node_port) for _ in range(4)} == {"near"}
    eventually(lambda: {ask(HERE, node_port) for _ in range(4)} == {"near", "away"}, "both endpoints")
    proxy.manifests.remove(on(NODE, near))
    eventually(lambda: ask(HERE, node_port) == "away" == ask(HERE, node_port), "the end of the local endpoint")
    eventually(lambda: not _asked(outside, node_port), "silence")


@pytest.mark.parametrize("capture", ["bind", "sklookup"])
def test_so_it_is_with_datagrams(
    outside: Outside, svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends, capture: str
) -> None:
    away, near = udp_backends("away", "near")
    node_port = places.node_port()
    settings = {"hostnameOverride": NODE, "capture": capture}
    proxy = svcproxy([web(node_port, "UDP"), on("other-node", away, "UDP")], configuration=settings)
    assert {ask_udp("127.0.0.1", node_port), ask_udp(HERE, node_port)} == {"away"}
    udp = partial(outside.ask, HERE, node_port, socket.SOCK_DGRAM)
    with pytest.raises(TimeoutError):
        udp()
    proxy.manifests.put(on(NODE, near, "UDP"))
    eventually(lambda: len(proxy.endpoints("web")) == 2, "the local endpoint")
    assert {udp() for _ in range(4)} == {"near"}
    eventually(lambda: {ask_udp(HERE, node_port) for _ in range(4)} == {"near", "away"}, "both endpoints")


def test_so_it_is_with_ipv6(
    outside: Outside, svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (away,) = echo_backends("away")
    node_port = places.node_port()
    settings = {"hostnameOverride": NODE, "serviceClusterIPRange": [places.service_range, "fd00:96::/112"]}
    with socket.create_server(("fd00:96::73", 0), family=socket.AF_INET6) as server:
        six = {"addresses": ["fd00:96::73"], "nodeName": "other-node"}
        slice6 = endpoint_slice("web", [six], {"port": server.getsockname()[1]}, suffix="six") | {"addressType": "IPv6"}
        svcproxy([web(node_port, **BOTH), on("other-node", away), slice6], configuration=settings)
        for address in (HERE6, "::1"):
            with socket.create_connection((address, node_port), 10):
                server.accept()[0].close()
        with pytest.raises(TimeoutError):
            outside.ask(HERE6, node_port)


def test_pods_of_this_node_are_known_by_its_pod_ranges(
    outside: Outside, svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (away,) = echo_backends("away")
    node_port = places.node_port()
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {"podCIDR": "192.0.2.2/31"}}
    proxy = svcproxy([web(node_port), on("other-node", away)], configuration={"hostnameOverride": NODE})
    with pytest.raises(TimeoutError):
        outside.ask(HERE, node_port)
    proxy.manifests.put(node)
    eventually(lambda: _asked(outside, node_port) == "away", "the Pods of this node")


def _asked(outside: Outside, node_port: int) -> str:
    try:
        return outside.ask(HERE, node_port)
    except TimeoutError:
        return ""
