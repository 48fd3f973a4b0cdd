"""The demo's manifests are good ones, and the copy is the user's."""

from pathlib import Path

import pytest

from proxy.demo.manifests import DemoManifestError, copy_manifests, packaged_manifests, read_manifests
from proxy.model.defaults import default_service
from proxy.model.endpoint_validation import validate_pod
from proxy.model.pod import Pod
from proxy.model.service import Service
from proxy.model.service_validation import validate_service


def contents(directory: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in directory.iterdir()}


def packaged_services() -> dict[str, Service]:
    found = read_manifests(packaged_manifests())
    return {each.metadata.name: default_service(each) for each in found if isinstance(each, Service)}


def test_every_object_is_valid() -> None:
    assert {name: validate_service(service) for name, service in packaged_services().items()} == {
        "echo": (),
        "myapp": (),
        "myapp-headless": (),
        "redis": (),
    }
    pods = [each for each in read_manifests(packaged_manifests()) if isinstance(each, Pod)]
    assert len(pods) == 7
    assert [validate_pod(pod, allow_loopback=True) for pod in pods] == [()] * 7


def test_the_services_are_those_of_the_walkthrough() -> None:
    services = packaged_services()
    myapp, redis, echo = services["myapp"].spec, services["redis"].spec, services["echo"].spec
    assert (myapp.type, myapp.ports[0].port, myapp.ports[0].node_port) == ("NodePort", 80, 30080)
    assert myapp.selector == {"app": "myapp", "release": "canary"}
    assert services["myapp-headless"].spec.cluster_ip == "None"
    assert (redis.type, redis.ports[0].port, redis.selector) == ("ClusterIP", 6379, {"app": "redis", "role": "logstor"})
    assert {(port.protocol, port.port) for port in echo.ports} == {("TCP", 7007), ("UDP", 7007)}


@pytest.mark.parametrize(("name", "count"), [("myapp", 5), ("myapp-headless", 5), ("redis", 1), ("echo", 1)])
def test_every_service_selects_its_pods_and_names_their_ports(name: str, count: int) -> None:
    spec = packaged_services()[name].spec
    assert spec.selector
    pods = [each for each in read_manifests(packaged_manifests()) if isinstance(each, Pod)]
    selected = [pod for pod in pods if spec.selector.items() <= pod.metadata.labels.items()]
    assert len(selected) == count
    for pod in selected:
        offered = {(port.name, port.protocol) for port in pod.spec.containers[0].ports}
        assert {(port.target_port, port.protocol) for port in spec.ports} == offered


def test_the_copy_is_made_once_and_then_left_to_the_user(tmp_path: Path) -> None:
    directory = tmp_path / "manifests"
    copy_manifests(directory)
    assert contents(directory) == contents(packaged_manifests())
    (directory / "redis.yaml").write_text("# mine\n")
    copy_manifests(directory)
    assert contents(directory)["redis.yaml"] == "# mine\n"


def test_another_node_port_is_written_into_the_copy(tmp_path: Path) -> None:
    directory = tmp_path / "manifests"
    copy_manifests(directory, 31999)
    assert contents(directory)["myapp.yaml"] == contents(packaged_manifests())["myapp.yaml"].replace("30080", "31999")
    copy_manifests(directory, 30080)
    assert contents(directory) == contents(packaged_manifests())


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoManifestError, match=r"/file/manifests.*: Not a directory"):
        copy_manifests(tmp_path / "file" / "manifests")


@pytest.mark.parametrize(
    "text",
    [
        "kind: [",
        "kind: Service\napiVersion: v1\nmetadata: {name: web}\nspec: {ports: 7}\n",
        "just words",
    ],
)
def test_a_broken_manifest_is_named_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(DemoManifestError, match=r"broken\.yaml: ") as caught:
        read_manifests(tmp_path)
    assert "\n" not in str(caught.value)


def test_kinds_the_proxy_has_no_use_for_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("kind: ConfigMap\napiVersion: v1\nmetadata: {name: settings}\n---\n")
    assert read_manifests(tmp_path) == ()
