"""The rules about a Service that are not its ports', addresses' or metadata's, with the API server's exact words."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.defaults import default_service
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServicePort, ServiceSpec, ServiceStatus, SessionAffinityConfig
from proxy.model.service_validation import validate_service
from tests.model.service_errors import ONLY_LOAD_BALANCER, PORT, PORT_RANGE, errors_of

TWO_PORTS = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
NOT_FOR_EXTERNAL_NAME = "Forbidden: may not be set for ExternalName services"


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"ports": TWO_PORTS, "selector": {"app": "web"}},
        {"ports": [{"name": "dns", "port": 53}, {"name": "dns-udp", "port": 53, "protocol": "UDP"}]},
        {"ports": [{"port": 80, "targetPort": "http", "appProtocol": "kubernetes.io/h2c"}]},
        {"ports": [{"port": 80, "protocol": "SCTP"}]},
        {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
        {"clusterIP": "None"},
        {"clusterIP": "None", "ports": []},
        {"clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"},
        {"clusterIPs": ["fd00::1", "10.0.0.1"], "ipFamilies": ["IPv6"]},
        {"type": "ExternalName", "externalName": "db.example.com.", "ports": []},
        {"type": "LoadBalancer", "loadBalancerClass": "example.com/lb", "loadBalancerSourceRanges": [" 10.0.0.0/8 "]},
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30000},
        {"externalIPs": ["192.0.2.1", "239.1.1.1"], "externalTrafficPolicy": "Local"},
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 1}}},
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}}},
        {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
        {"trafficDistribution": "PreferSameZone", "internalTrafficPolicy": "Local"},
    ],
)
def test_accepts_what_the_api_server_accepts(spec: dict[str, object]) -> None:
    assert errors_of(spec) == []


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        (
            {"type": "X"},
            [
                'spec.type: Unsupported value: "X": supported values:'
                ' "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
            ],
        ),
        ({"ports": []}, ["spec.ports: Required value"]),
        ({"ports": [], "type": "NodePort"}, ["spec.ports: Required value"]),
        # Session affinity.
        (
            {"sessionAffinity": "ClusterIP"},
            ['spec.sessionAffinity: Unsupported value: "ClusterIP": supported values: "ClientIP", "None"'],
        ),
        *(
            (
                {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}},
                [
                    f"spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: {seconds}:"
                    " must be greater than 0 and less than 86400"
                ],
            )
            for seconds in (0, -1, 86401, 90000)
        ),
        # ExternalName.
        ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
        (
            {"type": "ExternalName", "externalName": "db", "clusterIP": "x"},
            [f"spec.clusterIPs: {NOT_FOR_EXTERNAL_NAME}"],
        ),
        ({"type": "ExternalName", "externalName": "."}, ["spec.externalName: Required value"]),
        (
            {
                "type": "ExternalName",
                "externalName": "db",
                "clusterIP": "10.0.0.1",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
            },
            [
                f"spec.clusterIPs: {NOT_FOR_EXTERNAL_NAME}",
                f"spec.ipFamilies: {NOT_FOR_EXTERNAL_NAME}",
                f"spec.ipFamilyPolicy: {NOT_FOR_EXTERNAL_NAME}",
            ],
        ),
        # Traffic policies.
        (
            {"externalTrafficPolicy": "Local"},
            ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        ),
        (
            {"type": "NodePort", "externalTrafficPolicy": "Global"},
            ['spec.externalTrafficPolicy: Unsupported value: "Global": supported values: "Cluster", "Local"'],
        ),
        (
            {"internalTrafficPolicy": "Global"},
            ['spec.internalTrafficPolicy: Unsupported value: "Global": supported values: "Cluster", "Local"'],
        ),
        (
            {"trafficDistribution": "X"},
            [
                'spec.trafficDistribution: Unsupported value: "X": supported values:'
                ' "PreferClose", "PreferSameZone", "PreferSameNode"'
            ],
        ),
        # LoadBalancer fields.
        (
            {"healthCheckNodePort": 3},
            [
                "spec.healthCheckNodePort: Invalid value: 3:"
                " may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            ],
        ),
        (
            {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": -1},
            [f"spec.healthCheckNodePort: Invalid value: -1: {PORT_RANGE}"],
        ),
        ({"loadBalancerClass": "a/b"}, [f"spec.loadBalancerClass: {ONLY_LOAD_BALANCER}"]),
        (
            {"type": "LoadBalancer", "loadBalancerClass": "/b"},
            ['spec.loadBalancerClass: Invalid value: "/b": prefix part must be non-empty'],
        ),
        ({"allocateLoadBalancerNodePorts": True}, [f"spec.allocateLoadBalancerNodePorts: {ONLY_LOAD_BALANCER}"]),
    ],
)
def test_refuses_with_the_words_of_the_api_server(spec: dict[str, object], errors: list[str]) -> None:
    assert errors
    assert errors_of(spec) == errors


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        (
            {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [PORT]},
            [
                "spec.ports[0].protocol: Required value",
                f"spec.ports[0].targetPort: Invalid value: 0: {PORT_RANGE}",
                "spec.sessionAffinity: Required value",
                "spec.clusterIPs: Required value",
                "spec.internalTrafficPolicy: Required value",
            ],
        ),
        (
            {"clusterIPs": ["10.0.0.1"], "sessionAffinity": "None", "sessionAffinityConfig": {}},
            [
                "spec.ports: Required value",
                "spec.sessionAffinityConfig: Forbidden: must not be set when session affinity is None",
                'spec.clusterIPs: Invalid value: ["10.0.0.1"]: must be empty when `clusterIP` is not specified',
                "spec.type: Required value",
            ],
        ),
        (
            {"type": "LoadBalancer", "clusterIP": "None", "clusterIPs": ["None"], "sessionAffinity": "ClientIP"},
            [
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
                "spec.sessionAffinityConfig: Required value: when session affinity type is ClientIP",
                "spec.allocateLoadBalancerNodePorts: Required value",
                "spec.externalTrafficPolicy: Required value",
                "spec.internalTrafficPolicy: Required value",
            ],
        ),
        (
            {"type": "ExternalName", "externalName": "a", "sessionAffinity": "ClientIP", "sessionAffinityConfig": {}},
            ["spec.sessionAffinityConfig.clientIP: Required value: when session affinity type is ClientIP"],
        ),
        (
            {
                "type": "ExternalName",
                "externalName": "a",
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {}},
            },
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Required value:"
                " when session affinity type is ClientIP"
            ],
        ),
    ],
)
def test_names_what_is_missing_where_the_defaults_were_not_applied(spec: dict[str, object], errors: list[str]) -> None:
    metadata = ObjectMeta("web", "default")
    assert [str(e) for e in validate_service(Service(metadata, msgspec.convert(spec, ServiceSpec)))] == errors


def test_finds_errors_in_the_order_of_the_api_server() -> None:
    spec: dict[str, object] = {
        "type": "X",
        "ports": [{"port": 0, "targetPort": 1}],
        "sessionAffinity": "X",
        "clusterIP": "x",
    }
    fields = [error.split(": ")[0] for error in errors_of(spec, {"name": "X"})]
    assert fields == ["metadata.name", "spec.ports[0].port", "spec.sessionAffinity", "spec.clusterIPs[0]", "spec.type"]


NAMES = st.from_regex(r"[a-z]([a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
PORT_NUMBERS = st.integers(1, 65535)
PORTS = st.lists(
    st.builds(ServicePort, port=PORT_NUMBERS, name=NAMES, protocol=st.sampled_from(["", "TCP", "UDP", "SCTP"])),
    min_size=1,
    max_size=5,
    unique_by=(lambda port: port.name, lambda port: port.port),
)
SERVICES = st.builds(
    Service,
    metadata=st.builds(ObjectMeta, name=NAMES, namespace=NAMES, labels=st.dictionaries(NAMES, NAMES)),
    spec=st.builds(
        ServiceSpec,
        type=st.sampled_from(["", "ClusterIP", "NodePort", "LoadBalancer"]),
        ports=PORTS.map(tuple),
        cluster_ip=st.sampled_from(["", "10.96.0.7", "fd00::7"]),
        session_affinity=st.sampled_from(["", "None", "ClientIP"]),
        selector=st.none() | st.dictionaries(NAMES, NAMES),
        external_ips=st.lists(st.sampled_from(["192.0.2.1", "2001:db8::1"])).map(tuple),
    ),
    status=st.just(ServiceStatus()),
)


TEXTS = st.sampled_from(
    ["", "None", "ClientIP", "LoadBalancer", "ExternalName", "Local", "10.0.0.1", "fd00::1", "a/b", "٣"]
)
ANY_METADATA = st.builds(
    ObjectMeta,
    name=st.text(),
    namespace=st.text(),
    labels=st.dictionaries(st.text(), st.text()),
    annotations=st.dictionaries(st.text(), st.text()),
)
ANY_SPEC = st.builds(
    ServiceSpec,
    type=TEXTS,
    selector=st.dictionaries(st.text(), st.text()),
    ports=st.lists(st.from_type(ServicePort), max_size=3).map(tuple),
    cluster_ip=TEXTS,
    cluster_ips=st.lists(TEXTS, max_size=3).map(tuple),
    external_ips=st.lists(TEXTS | st.text(), max_size=3).map(tuple),
    session_affinity=TEXTS,
    session_affinity_config=st.from_type(SessionAffinityConfig),
    load_balancer_source_ranges=st.lists(TEXTS | st.text(), max_size=3).map(tuple),
    external_name=st.text(),
    ip_families=st.lists(TEXTS | st.sampled_from(["IPv4", "IPv6"]), max_size=3).map(tuple),
    health_check_node_port=st.integers(),
)


@given(ANY_METADATA, ANY_SPEC, st.from_type(ServiceStatus), st.booleans())
def test_never_raises(metadata: ObjectMeta, spec: ServiceSpec, status: ServiceStatus, with_defaults: bool) -> None:
    service = Service(metadata, spec, status)
    errors = validate_service(default_service(service) if with_defaults else service)
    assert all(error.field and error.text for error in errors)


@given(SERVICES)
def test_a_good_service_with_its_defaults_is_valid_and_survives_the_wire(service: Service) -> None:
    filled = default_service(service)
    assert validate_service(filled) == ()
    assert msgspec.json.decode(msgspec.json.encode(filled), type=Service) == filled
    assert default_service(msgspec.json.decode(msgspec.json.encode(filled), type=Service)) == filled
