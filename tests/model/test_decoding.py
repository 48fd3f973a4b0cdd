"""Decoding documents: what is read, what is left alone, and that nothing but DecodingError comes out."""

import contextlib
from datetime import UTC, datetime

import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.model.decoding import DecodingError, Object, decode, objects
from proxy.model.endpoint_slice import Endpoint, EndpointSlice
from proxy.model.endpoints import Endpoints, EndpointSubset
from proxy.model.metadata import ObjectMeta
from proxy.model.node import Node
from proxy.model.pod import Pod, PodStatus
from proxy.model.service import Service, ServicePort, ServiceSpec

KINDS = {
    "Service": ("v1", Service),
    "EndpointSlice": ("discovery.k8s.io/v1", EndpointSlice),
    "Endpoints": ("v1", Endpoints),
    "Pod": ("v1", Pod),
    "Node": ("v1", Node),
}


def from_yaml(text: str) -> Object | None:
    return decode(yaml.safe_load(text))


def service(spec: str) -> str:
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {spec}}}"


def errors_of(text: str) -> list[str]:
    with pytest.raises(DecodingError) as caught:
        from_yaml(text)
    return [str(error) for error in caught.value.errors]


@pytest.mark.parametrize("kind", KINDS)
def test_reads_every_kind_the_proxy_uses(kind: str) -> None:
    api_version, target = KINDS[kind]
    decoded = decode({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "unused": [1]}})
    assert decoded is not None
    assert decoded.metadata.name == "a"
    assert decoded.metadata.namespace == ("" if kind == "Node" else "default")
    assert isinstance(decoded, target)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"Service"}))
def test_ignores_fields_it_has_no_use_for(kind: str) -> None:
    assert decode({"apiVersion": KINDS[kind][0], "kind": kind, "metadata": {"name": "a"}, "unused": {}}) is not None


def test_reads_the_fields_of_a_service() -> None:
    decoded = from_yaml(
        """
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop, labels: {app: web, empty: }, creationTimestamp: 2025-05-23T10:00:21Z}
        spec:
          type: NodePort
          clusterIP: 10.96.0.7
          selector: {app: web}
          externalIPs: null
          ports: [{name: http, port: 80, targetPort: http, nodePort: 30080}, {name: alt, port: 81, targetPort: 8081}]
          sessionAffinity: ClientIP
          sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
        status: {loadBalancer: {ingress: [{ip: 192.0.2.1, ports: []}]}, conditions: []}
        """
    )
    assert isinstance(decoded, Service)
    assert decoded.key == ("shop", "web")
    assert decoded.metadata.labels == {"app": "web", "empty": ""}
    assert decoded.metadata.creation_timestamp == "2025-05-23T10:00:21Z"
    assert [(port.port, port.target_port, port.node_port) for port in decoded.spec.ports] == [
        (80, "http", 30080),
        (81, 8081, 0),
    ]
    assert decoded.spec.external_ips == ()
    assert decoded.spec.session_affinity_config is not None
    assert decoded.spec.session_affinity_config.client_ip is not None
    assert decoded.spec.session_affinity_config.client_ip.timeout_seconds == 60
    assert decoded.status.load_balancer.ingress[0].ip == "192.0.2.1"


def test_takes_timestamps_that_the_yaml_parser_has_read() -> None:
    at = datetime(2025, 5, 23, 10, 0, 21, tzinfo=UTC)
    decoded = decode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "creationTimestamp": at}})
    assert isinstance(decoded, Pod)
    assert decoded.metadata.creation_timestamp == "2025-05-23T10:00:21Z"


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("apps/v1", "Deployment"),
        ("v1", "ConfigMap"),
        ("serving.knative.dev/v1", "Service"),
        ("config.openshift.io/v1", "Node"),
    ],
)
def test_has_no_use_for_other_kinds(api_version: str, kind: str) -> None:
    assert decode({"apiVersion": api_version, "kind": kind, "spec": 7}) is None


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("{}", ["apiVersion: Required value", "kind: Required value"]),
        ("{kind: Service}", ["apiVersion: Required value"]),
        ("{apiVersion: v1, kind: ''}", ["kind: Required value"]),
        ("{apiVersion: 1, kind: Service}", ["apiVersion: Invalid value: 1: must be a string"]),
        ("{apiVersion: v1, kind: Service}", ["metadata.name: Required value: name or generateName is required"]),
        ("{apiVersion: v2, kind: Pod}", ['apiVersion: Unsupported value: "v2": supported values: "v1"']),
        ("{apiVersion: apps/v1, kind: Service}", ['apiVersion: Unsupported value: "apps/v1": supported values: "v1"']),
        (
            "{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice}",
            ['apiVersion: Unsupported value: "discovery.k8s.io/v1beta1": supported values: "discovery.k8s.io/v1"'],
        ),
        ("{apiVersion: v1, kind: Pod, metadata: []}", ["metadata: Invalid value: []: must be a map"]),
        (service("[]"), ["spec: Invalid value: []: must be a map"]),
        (service("{ports: {}}"), ["spec.ports: Invalid value: {}: must be a list"]),
        (service("{ports: [{port: '80'}]}"), ['spec.ports[0].port: Invalid value: "80": must be an integer']),
        (service("{ports: [null]}"), ["spec.ports[0]: Invalid value: null: must be a map"]),
        (service("{ports: [{port: true}]}"), ["spec.ports[0].port: Invalid value: true: must be an integer"]),
        (
            service("{ports: [{port: 1, targetPort: []}]}"),
            ["spec.ports[0].targetPort: Invalid value: []: must be an integer or a string"],
        ),
        (
            service("{publishNotReadyAddresses: 'yes'}"),
            ['spec.publishNotReadyAddresses: Invalid value: "yes": must be true or false'],
        ),
        (
            service("{selector: {app: web, tier: 2}}"),
            ["spec.selector[tier]: Invalid value: 2: must be a string (put it in quotes)"],
        ),
    ],
)
def test_says_which_field_has_the_wrong_shape(text: str, errors: list[str]) -> None:
    assert errors_of(text) == errors


def test_reports_unknown_fields_and_a_wrong_type_together() -> None:
    assert errors_of(service("{ports: 1, typ: NodePort}")) == [
        'spec.typ: strict decoding error: unknown field "spec.typ" (did you mean "type"?)',
        "spec.ports: Invalid value: 1: must be a list",
    ]


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: 1}", "Service default/web"),
        ("{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: 1}", "Service shop/web"),
        ("{apiVersion: v1, kind: Node, metadata: {name: n1, namespace: x}, status: 1}", "Node n1"),
        ("{kind: Service, metadata: {name: web}}", "Service web"),
        ("{apiVersion: v1, metadata: 1}", ""),
    ],
)
def test_names_the_object_as_far_as_it_is_known(text: str, subject: str) -> None:
    with pytest.raises(DecodingError) as caught:
        from_yaml(text)
    assert caught.value.subject == subject
    assert str(caught.value) == "; ".join(str(error) for error in caught.value.errors)


def test_refuses_a_document_that_contains_itself() -> None:
    assert errors_of("&a {apiVersion: v1, kind: Pod, metadata: *a}") == [
        "document: must be an object with apiVersion and kind: nested more than 64 levels deep"
    ]


def test_does_not_change_the_document() -> None:
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": None}}
    decode(document)
    assert document == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": None}}


@pytest.mark.parametrize(
    ("text", "kinds_and_names"),
    [
        ("", []),
        ("{kind: Pod, metadata: {name: a}}", [("Pod", "a")]),
        ("{apiVersion: v1, kind: List, items: []}", []),
        ("{apiVersion: v1, kind: List}", []),
        ("{apiVersion: v1, kind: List, items: null}", []),
        (
            "{kind: List, items: [{kind: Pod, metadata: {name: a}}, {kind: Node, metadata: {name: b}}]}",
            [("Pod", "a"), ("Node", "b")],
        ),
        ("{apiVersion: v1, kind: PodList, items: [{metadata: {name: a}}]}", [("Pod", "a")]),
        ("{apiVersion: v1, kind: PodList, items: [{kind: null, metadata: {name: a}}]}", [("Pod", "a")]),
        (
            "{kind: List, items: [{kind: List, items: [{kind: Pod, metadata: {name: a}}]}]}",
            [("Pod", "a")],
        ),
        ("{kind: AllowList, metadata: {name: a}}", [("AllowList", "a")]),
    ],
)
def test_takes_lists_apart(text: str, kinds_and_names: list[tuple[str, str]]) -> None:
    found = objects(yaml.safe_load(text))
    assert [(found_one["kind"], found_one["metadata"]) for found_one in found] == [
        (kind, {"name": name}) for kind, name in kinds_and_names
    ]


def test_items_of_a_typed_list_inherit_its_api_version() -> None:
    items = yaml.safe_load(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSliceList, items: [{metadata: {name: a}, addressType: IPv4}]}"
    )
    assert [type(decode(item)) for item in objects(items)] == [EndpointSlice]


@pytest.mark.parametrize(
    ("text", "good", "errors"),
    [
        ("7", 0, ["document: must be an object with apiVersion and kind: got int"]),
        ("- kind: Pod", 0, ["document: must be an object with apiVersion and kind: got a list"]),
        (
            "{kind: List, items: [x, {kind: Pod}, null]}",
            1,
            [
                "items[0]: must be an object with apiVersion and kind: got a string",
                "items[2]: must be an object with apiVersion and kind: got null",
            ],
        ),
        ("{kind: List, items: {a: b}}", 0, ['items: Invalid value: "dict": must be a list']),
        (
            "&a {kind: List, items: [*a]}",
            0,
            ['items[0].items[0].items[0].items[0].items: Invalid value: "a list": lists are nested too deeply'],
        ),
    ],
)
def test_yields_the_good_items_before_it_complains_of_the_others(text: str, good: int, errors: list[str]) -> None:
    found: list[object] = []
    with pytest.raises(DecodingError) as caught:
        found.extend(objects(yaml.safe_load(text)))
    assert len(found) == good
    assert [str(error) for error in caught.value.errors] == errors


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=12,
)
STRUCTS = (
    Service,
    ServiceSpec,
    ServicePort,
    ObjectMeta,
    EndpointSlice,
    Endpoint,
    Endpoints,
    EndpointSubset,
    Pod,
    PodStatus,
)
FIELDS = st.sampled_from(sorted({field.encode_name for struct in STRUCTS for field in msgspec.structs.fields(struct)}))
NEAR_OBJECTS = st.recursive(
    JUNK, lambda inner: st.dictionaries(FIELDS, inner, max_size=5) | st.lists(inner, max_size=3), max_leaves=20
)


@given(
    st.one_of(st.sampled_from([*KINDS, "List", "ServiceList"]), JUNK),
    st.one_of(st.sampled_from(["v1", "discovery.k8s.io/v1"]), JUNK),
    st.dictionaries(FIELDS, NEAR_OBJECTS, max_size=5),
)
@example("Service", "v1", {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 10**30}]}})
@example("Service", "v1", {"metadata": {"name": "a"}, "spec": {"ports": [{"port": float("nan")}]}})
@example("Service", "v1", {"metadata": {"name": {}}, "spec": {"": {}}})
@example("List", "v1", {"items": [None, {"kind": "Pod"}]})
def test_raises_nothing_but_decoding_errors(kind: object, api_version: object, members: dict[str, object]) -> None:
    document = {**members, "kind": kind, "apiVersion": api_version}
    for candidate in (document, *listed(document)):
        with contextlib.suppress(DecodingError):
            # What the plan sends to the workers has to have a wire form.
            msgspec.msgpack.encode(decode(candidate))


@given(JUNK)
def test_any_document_at_all_is_objects_or_a_decoding_error(document: object) -> None:
    assert all(isinstance(item, dict) for item in listed(document))


def listed(document: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    with contextlib.suppress(DecodingError):
        found.extend(objects(document))
    return found
