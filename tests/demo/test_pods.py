"""What the manifests say about Pods is what the demo starts."""

import msgspec

from proxy.demo.manifests import packaged_manifests, read_manifests
from proxy.demo.pods import demo_pods
from proxy.model.pod import Pod


def test_the_demo_has_five_web_pods_a_redis_and_an_echo_pod() -> None:
    pods = demo_pods(read_manifests(packaged_manifests()))
    assert [pod.role for pod in pods] == ["myapp"] * 5 + ["redis", "echo"]
    assert len({pod.address for pod in pods}) == 7
    assert all(pod.address.startswith("127.") for pod in pods)
    assert pods[0].name == "myapp-deploy-69b47bc96d-4hxxw"


def test_no_pod_needs_a_privileged_port() -> None:
    pods = demo_pods(read_manifests(packaged_manifests()))
    assert all(port.container_port >= 1024 for pod in pods for port in pod.ports)


def test_a_pod_without_an_address_has_no_server() -> None:
    pod = msgspec.convert({"metadata": {"name": "late"}, "spec": {"containers": [{"name": "myapp"}]}}, Pod)
    assert demo_pods([pod]) == ()
