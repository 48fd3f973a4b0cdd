"""config/kubernetes/: structure, rights and promises of the manifests, read with types of their own.

An unknown field is an error: these structs name every field that the files may use.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
import yaml

from proxy.configuration.config import load_configuration
from proxy.model.decoding import decode
from proxy.model.defaults import default_service
from proxy.model.service import Service
from proxy.model.service_validation import validate_service
from proxy.sources.kubernetes_api.resource import Scope, endpoint_slices, own_node, pod_weights, services

DIRECTORY = Path(__file__).parents[1] / "config" / "kubernetes"
WORKLOADS = ("daemonset.yaml", "sidecar.yaml", "standalone.yaml")
MANIFESTS = ("rbac.yaml", *WORKLOADS)

Memory = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]*Mi$")]
CPU = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]*m$")]


class _Strict(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Field names are camelCase, and every one must be known."""


class Resources(_Strict, frozen=True):
    requests: dict[Literal["cpu", "memory"], str]
    limits: dict[Literal["memory"], Memory] = {}


class Capabilities(_Strict, frozen=True):
    drop: list[Literal["ALL"]]
    add: list[Literal["NET_BIND_SERVICE", "NET_ADMIN"]] = []


class SecurityContext(_Strict, frozen=True, kw_only=True):
    run_as_non_root: Literal[True]
    run_as_user: Annotated[int, msgspec.Meta(gt=0)]
    run_as_group: int = 0
    allow_privilege_escalation: bool
    read_only_root_filesystem: Literal[True]
    capabilities: Capabilities
    seccomp_profile: dict[Literal["type"], Literal["RuntimeDefault"]]


class HTTPGet(_Strict, frozen=True):
    path: Literal["/livez", "/readyz"]
    port: Literal["health"]


class Probe(_Strict, frozen=True):
    http_get: HTTPGet
    period_seconds: int
    failure_threshold: int = 3


class Port(_Strict, frozen=True):
    name: str
    container_port: int
    protocol: Literal["TCP", "UDP"]
    host_port: int | None = None


class Mount(_Strict, frozen=True):
    name: str
    mount_path: str
    read_only: bool = False


class Container(_Strict, frozen=True, kw_only=True):
    name: str
    image: str
    resources: Resources
    security_context: SecurityContext
    image_pull_policy: Literal["IfNotPresent"] = "IfNotPresent"
    restart_policy: Literal["Always"] | None = None
    command: list[str] = []
    args: list[str] = []
    env: list[dict[str, Any]] = []
    ports: list[Port] = []
    startup_probe: Probe | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    volume_mounts: list[Mount] = []


class PodSpec(_Strict, frozen=True, kw_only=True):
    service_account_name: str
    termination_grace_period_seconds: int
    containers: list[Container]
    init_containers: list[Container] = []
    volumes: list[dict[str, Any]]
    security_context: dict[str, Any]
    host_network: bool = False
    dns_policy: Literal["ClusterFirstWithHostNet"] | None = None
    priority_class_name: str = ""
    tolerations: list[dict[str, str]] = []
    topology_spread_constraints: list[dict[str, Any]] = []


class Rule(_Strict, frozen=True):
    api_groups: list[str]
    resources: list[str]
    verbs: list[str]


def documents(name: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all((DIRECTORY / name).read_text()) if document]


def of_kind(name: str, *kinds: str) -> list[dict[str, Any]]:
    return [document for document in documents(name) if document["kind"] in kinds]


def pod_spec(name: str) -> PodSpec:
    (workload,) = of_kind(name, "Deployment", "DaemonSet")
    template = workload["spec"]["template"]
    assert workload["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    return msgspec.convert(template["spec"], PodSpec)


def svcproxy_container(name: str) -> Container:
    spec = pod_spec(name)
    (container,) = (each for each in (*spec.init_containers, *spec.containers) if each.name == "svcproxy")
    return container


def test_every_manifest_is_tried_here() -> None:
    assert sorted(path.name for path in DIRECTORY.iterdir()) == sorted(MANIFESTS)


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_object_has_its_name_once(name: str) -> None:
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in documents(name)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_container_is_unprivileged_and_says_what_it_takes(name: str) -> None:
    spec = pod_spec(name)
    for container in (*spec.init_containers, *spec.containers):
        assert set(container.resources.requests) == {"cpu", "memory"}
        gains = container.security_context.capabilities.add
        # no_new_privs would keep the interpreter's file from giving what was added.
        assert container.security_context.allow_privilege_escalation is bool(gains)
        assert bool(gains) == any("python-with-capabilities" in word for word in container.command)


@pytest.mark.parametrize("name", WORKLOADS)
def test_svcproxy_is_probed_where_it_answers_and_has_time_to_drain(name: str) -> None:
    container, configuration = svcproxy_container(name), configuration_of(name)
    assert container.liveness_probe is not None
    assert container.liveness_probe.http_get.path == "/livez"
    assert container.readiness_probe is not None
    assert container.readiness_probe.http_get.path == "/readyz"
    assert {port.name: port.container_port for port in container.ports}["health"] == 10256
    assert load_configuration(configuration).healthz_bind_address == ("0.0.0.0", 10256)
    assert pod_spec(name).termination_grace_period_seconds > load_configuration(configuration).grace


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def configuration_of(name: str) -> str:
    """The path of the configuration in a manifest's ConfigMap."""
    (config_map,) = of_kind(name, "ConfigMap")
    path = Path("svcproxy.yaml")
    path.write_text(config_map["data"]["svcproxy.yaml"])
    return str(path)


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_configuration_is_one_and_writes_where_it_may(name: str) -> None:
    configuration = load_configuration(configuration_of(name))
    container = svcproxy_container(name)
    assert configuration.in_cluster
    writable = {mount.mount_path for mount in container.volume_mounts if not mount.read_only}
    # Below the volume, in which everybody may write.
    assert str(Path(configuration.state_directory).parent) in writable
    assert container.args[:3] == ["run", "--config", "/etc/svcproxy/svcproxy.yaml"]
    mounted = {mount.name for mount in container.volume_mounts}
    assert mounted <= {volume["name"] for volume in pod_spec(name).volumes}


@pytest.mark.parametrize("name", WORKLOADS)
def test_its_services_are_valid_and_svcproxys_own(name: str) -> None:
    proxy_name = load_configuration(configuration_of(name)).service_proxy_name
    found = [decode(document) for document in of_kind(name, "Service")]
    assert all(isinstance(each, Service) for each in found)
    checked = [default_service(each) for each in found if isinstance(each, Service)]
    assert [error for each in checked for error in validate_service(each)] == []
    own = [each for each in checked if "service.kubernetes.io/service-proxy-name" in each.metadata.labels]
    assert all(each.metadata.labels["service.kubernetes.io/service-proxy-name"] == proxy_name for each in own)
    assert bool(own) == (name != "daemonset.yaml")


@pytest.mark.parametrize(("name", "kind"), [("rbac.yaml", "ClusterRole"), ("sidecar.yaml", "Role")])
def test_the_rights_are_exactly_the_verbs_used(name: str, kind: str) -> None:
    (role,) = of_kind(name, kind)
    rules = [msgspec.convert(rule, Rule) for rule in role["rules"]]
    reading, writing = rules[:-1], rules[-1]
    assert (writing.api_groups, writing.resources, writing.verbs) == ([""], ["events"], ["create", "patch"])
    assert all(rule.verbs == ["list", "watch"] for rule in reading)
    granted = {
        f"{resource}.{group}" if group else resource
        for rule in reading
        for group in rule.api_groups
        for resource in rule.resources
    }
    scope = Scope("node", "example" if kind == "Role" else "")
    used = {services(scope).title, endpoint_slices(scope).title, pod_weights(scope).title}
    assert granted == used | ({own_node(scope).title} if kind == "ClusterRole" else set())


@pytest.mark.parametrize(("name", "kind"), [("rbac.yaml", "ClusterRoleBinding"), ("sidecar.yaml", "RoleBinding")])
def test_the_rights_go_to_an_account_that_is_there(name: str, kind: str) -> None:
    (binding,) = of_kind(name, kind)
    accounts = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in of_kind(name, "ServiceAccount")}
    assert {(subject["namespace"], subject["name"]) for subject in binding["subjects"]} == accounts
    assert of_kind(name, binding["roleRef"]["kind"])[0]["metadata"]["name"] == binding["roleRef"]["name"]
