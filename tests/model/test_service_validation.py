"""Every rule of the API server about a Service, with its exact words."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.defaults import default_service
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServicePort, ServiceSpec, ServiceStatus, SessionAffinityConfig
from proxy.model.service_validation import validate_service

PORT = {"port": 80}
TWO_PORTS = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
NOT_AN_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
PORT_RANGE = "must be between 1 and 65535, inclusive"
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
ONLY_LOAD_BALANCER = "Forbidden: may only be used when `type` is 'LoadBalancer'"
NOT_FOR_EXTERNAL_NAME = "Forbidden: may not be set for ExternalName services"


def errors_of(
    spec: dict[str, object], metadata: dict[str, object] | None = None, status: dict[str, object] | None = None
) -> list[str]:
    """What is wrong with the defaulted Service of `spec`, which gets one good port unless it says otherwise."""
    document = {
        "metadata": {"name": "web", "namespace": "default", **(metadata or {})},
        "spec": {"ports": [PORT], **spec},
        "status": status or {},
    }
    return [str(error) for error in validate_service(default_service(msgspec.convert(document, Service)))]


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
        # Ports.
        ({"ports": [{"name": "a", "port": 80}, {"port": 81}]}, ["spec.ports[1].name: Required value"]),
        (
            {"ports": [{"name": "http", "port": 80}, {"name": "http", "port": 81}]},
            ['spec.ports[1].name: Duplicate value: "http"'],
        ),
        ({"ports": [{"name": "HTTP", "port": 80}]}, [f'spec.ports[0].name: Invalid value: "HTTP": {LABEL_RULE}']),
        (
            {"ports": [{"port": 0}]},
            [
                f"spec.ports[0].port: Invalid value: 0: {PORT_RANGE}",
                f"spec.ports[0].targetPort: Invalid value: 0: {PORT_RANGE}",
            ],
        ),
        ({"ports": [{"port": 65536, "targetPort": 80}]}, [f"spec.ports[0].port: Invalid value: 65536: {PORT_RANGE}"]),
        (
            {"ports": [{"port": 80, "targetPort": 70000}]},
            [f"spec.ports[0].targetPort: Invalid value: 70000: {PORT_RANGE}"],
        ),
        (
            {"ports": [{"port": 80, "targetPort": "8080"}]},
            ['spec.ports[0].targetPort: Invalid value: "8080": must contain at least one letter (a-z)'],
        ),
        (
            {"ports": [{"port": 80, "protocol": "HTTP"}]},
            ['spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            {"ports": [{"port": 80, "appProtocol": "/h2c"}]},
            ['spec.ports[0].appProtocol: Invalid value: "/h2c": prefix part must be non-empty'],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30080}]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            {
                "type": "NodePort",
                "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "nodePort": 30080}],
            },
            ["spec.ports[1].nodePort: Duplicate value: 30080"],
        ),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
            [
                'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,'
                '"TargetPort":0,"NodePort":0}'
            ],
        ),
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
        # clusterIP(s) and families.
        ({"clusterIP": "10.0.0"}, [f'spec.clusterIPs[0]: Invalid value: "10.0.0": {NOT_AN_ADDRESS}']),
        ({"clusterIP": "none"}, [f'spec.clusterIPs[0]: Invalid value: "none": {NOT_AN_ADDRESS}']),
        ({"clusterIP": "010.0.0.1"}, ['spec.clusterIPs[0]: Invalid value: "010.0.0.1": must not have leading 0s']),
        (
            {"clusterIP": "::ffff:10.0.0.1"},
            ['spec.clusterIPs[0]: Invalid value: "::ffff:10.0.0.1": must not be an IPv4-mapped IPv6 address'],
        ),
        (
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]},
            ['spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`'],
        ),
        (
            {"clusterIPs": ["10.0.0.1", "10.0.0.2"]},
            [
                'spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]:'
                " may specify no more than one IP for each IP family"
            ],
        ),
        (
            {"clusterIPs": ["10.0.0.1", "fd00::1", "fd00::2"]},
            [
                'spec.clusterIPs: Invalid value: ["10.0.0.1","fd00::1","fd00::2"]: may only hold up to 2 values',
                'spec.clusterIPs: Invalid value: ["10.0.0.1","fd00::1","fd00::2"]:'
                " may specify no more than one IP for each IP family",
            ],
        ),
        (
            {"clusterIPs": ["None", "10.0.0.1"]},
            ['spec.clusterIPs: Invalid value: ["None","10.0.0.1"]: \'None\' must be the first and only value'],
        ),
        (
            {"clusterIPs": ["10.0.0.1", "None"]},
            [f'spec.clusterIPs[1]: Invalid value: "None": {NOT_AN_ADDRESS}'],
        ),
        (
            {"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]},
            ['spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`'],
        ),
        ({"ipFamilies": ["IPv5"]}, ['spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"']),
        ({"ipFamilies": ["IPv4", "IPv4"]}, ['spec.ipFamilies[1]: Duplicate value: "IPv4"']),
        (
            {"ipFamilyPolicy": "Dual"},
            [
                'spec.ipFamilyPolicy: Unsupported value: "Dual": supported values:'
                ' "PreferDualStack", "RequireDualStack", "SingleStack"'
            ],
        ),
        # Headless.
        (
            {"clusterIP": "None", "type": "NodePort"},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (
            {"clusterIP": "None", "type": "LoadBalancer"},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"],
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
        # externalIPs.
        ({"externalIPs": ["web"]}, [f'spec.externalIPs[0]: Invalid value: "web": {NOT_AN_ADDRESS}']),
        (
            {"externalIPs": ["192.0.2.1", "127.0.0.1"]},
            [
                'spec.externalIPs[1]: Invalid value: "127.0.0.1":'
                " may not be in the loopback range (127.0.0.0/8, ::1/128)"
            ],
        ),
        (
            {"externalIPs": ["0.0.0.0"]},
            ['spec.externalIPs[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)'],
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
        ({"loadBalancerSourceRanges": ["10.0.0.0/8"]}, [f"spec.LoadBalancerSourceRanges: {ONLY_LOAD_BALANCER}"]),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8", "x"]},
            [
                'spec.LoadBalancerSourceRanges[1]: Invalid value: "x":'
                " must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            ],
        ),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1/8"]},
            [
                'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.1/8":'
                " must not have bits set beyond the prefix length"
            ],
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
    ("metadata", "errors"),
    [
        ({"name": "Web"}, [f'metadata.name: Invalid value: "Web": {LABEL_RULE}']),
        ({"name": "a.b"}, ['metadata.name: Invalid value: "a.b": must not contain dots']),
        ({"name": "1web"}, []),
        ({"name": ""}, ["metadata.name: Required value: name or generateName is required"]),
        ({"namespace": ""}, ["metadata.namespace: Required value"]),
        ({"namespace": "a.b"}, ['metadata.namespace: Invalid value: "a.b": must not contain dots']),
        ({"labels": {"/a": "b"}}, ['metadata.labels: Invalid value: "/a": prefix part must be non-empty']),
        (
            {"labels": {"a": "b" * 64}},
            [f'metadata.labels: Invalid value: "{"b" * 64}": must be no more than 63 characters'],
        ),
        ({"annotations": {"Example.com/A": "any text at all"}}, []),
        ({"annotations": {"/a": ""}}, ['metadata.annotations: Invalid value: "/a": prefix part must be non-empty']),
        (
            {
                "annotations": {
                    "service.kubernetes.io/topology-mode": "Auto",
                    "service.kubernetes.io/topology-aware-hints": "auto",
                }
            },
            [
                'metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "Auto": must match'
                " annotations[service.kubernetes.io/topology-aware-hints] when both are specified"
            ],
        ),
        (
            {"annotations": {"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, x"}},
            [
                f"metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: {ONLY_LOAD_BALANCER}",
                'metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value: "x":'
                " must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ],
        ),
    ],
)
def test_holds_metadata_to_the_rules(metadata: dict[str, object], errors: list[str]) -> None:
    assert errors_of({}, metadata) == errors


def test_a_selector_is_made_of_labels() -> None:
    assert errors_of({"selector": {"/app": "web", "tier": "a" * 64}}) == [
        'spec.selector: Invalid value: "/app": prefix part must be non-empty',
        f'spec.selector: Invalid value: "{"a" * 64}": must be no more than 63 characters',
    ]


@pytest.mark.parametrize(
    ("service_type", "ingress", "errors"),
    [
        ("LoadBalancer", {"ip": "192.0.2.1"}, []),
        ("LoadBalancer", {"hostname": "lb.example.com"}, []),
        ("LoadBalancer", {"ip": "x"}, [f'[0].ip: Invalid value: "x": {NOT_AN_ADDRESS}']),
        (
            "LoadBalancer",
            {"ip": "192.0.2.1", "ipMode": "X"},
            ['[0].ipMode: Unsupported value: "X": supported values: "Proxy", "VIP"'],
        ),
        ("LoadBalancer", {"ipMode": "VIP"}, ["[0].ipMode: Forbidden: may not be specified when `ip` is not set"]),
        (
            "LoadBalancer",
            {"hostname": "192.0.2.1"},
            ['[0].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address'],
        ),
        ("NodePort", {"ip": "192.0.2.1"}, [": Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]),
    ],
)
def test_holds_the_ingress_of_a_load_balancer_to_the_rules(
    service_type: str, ingress: dict[str, str], errors: list[str]
) -> None:
    found = errors_of({"type": service_type}, status={"loadBalancer": {"ingress": [ingress]}})
    assert found == [f"status.loadBalancer.ingress{error}" for error in errors]


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
