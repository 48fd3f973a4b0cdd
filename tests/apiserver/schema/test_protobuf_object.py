"""Objects in protobuf: what kubectl sends, every type there and back, and every kind of wrong bytes.

The field numbers that stand here are those of the generated.proto of k8s.io/api and k8s.io/apimachinery.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.kinds import ENDPOINT_SLICES, EVENTS, KINDS, NODES, PODS, SERVICES, Kind
from proxy.apiserver.schema.protobuf_encoding import enveloped, message_of
from proxy.apiserver.schema.protobuf_object import protobuf_object
from proxy.apiserver.schema.schema import all_types, meta_record, record_of
from proxy.apiserver.schema.schema_types import Field, ListOf, MapOf, Record, Scalar, Type
from proxy.apiserver.status import StatusError
from proxy.apiserver.writes.strictness import conforming
from tests.apiserver.protobuf_encoder import MAGIC, Fields, document_fields, encoded, protobuf_body

TOO_NEW = ("NodeAllocatableResourceClaimStatus", "PodSchedulingGroup")
"""Types without field numbers, and so are the fields of these types: no released client sends them yet."""

KUBECTL_CREATE_SERVICE = bytes.fromhex(
    "6b3873000a0d0a02763112075365727669636512630a1b0a016112001a0022002a003200380042005a080a0361707012016112400a1b0a0738"
    "302d38303830120354435018502207080010903f1a00280012080a036170701201611a002209436c757374657249503a00420052005a006000"
    "68001a020a001a002200"
)
"""The body of `kubectl create service clusterip a --tcp=80:8080`, of kubectl 1.32."""


def read(kind: Kind, fields: Fields | bytes) -> dict[str, Any]:
    return protobuf_object(protobuf_body(kind.kind, fields, kind.api_version), record_of(kind))


def content(kind: Kind, fields: Fields | bytes) -> dict[str, Any]:
    """What is read, without the type."""
    document = read(kind, fields)
    assert (document.pop("apiVersion"), document.pop("kind")) == (kind.api_version, kind.kind)
    return document


def refusal(sent: bytes, expected: Record) -> str:
    with pytest.raises(StatusError) as refused:
        protobuf_object(sent, expected)
    assert (refused.value.status.code, refused.value.status.reason) == (400, "BadRequest")
    return refused.value.status.message


def test_a_service_from_kubectl_is_what_kubectl_would_have_sent_as_json() -> None:
    assert protobuf_object(KUBECTL_CREATE_SERVICE, record_of(SERVICES)) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a", "labels": {"app": "a"}},
        "spec": {
            "ports": [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}],
            "selector": {"app": "a"},
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }


def test_zeroes_count_where_they_can_be_told_from_nothing_or_are_required() -> None:
    spec = [(1, [(1, ""), (3, 0), (5, 0)]), (12, 0), (13, 0), (20, 0), (14, [(1, [(1, 0)])]), (21, "")]
    assert content(SERVICES, [(2, spec)])["spec"] == {
        "ports": [{"port": 0}],
        "allocateLoadBalancerNodePorts": False,
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}},
        "loadBalancerClass": "",
    }
    endpoint = [(1, "10.0.0.1"), (2, [(1, 0), (2, 1), (3, 0)]), (6, "n")]
    assert content(ENDPOINT_SLICES, [(2, endpoint), (4, "")]) == {
        "addressType": "",
        "endpoints": [
            {
                "addresses": ["10.0.0.1"],
                "conditions": {"ready": False, "serving": True, "terminating": False},
                "nodeName": "n",
            }
        ],
    }


def test_members_of_a_message_that_json_does_not_have_are_members_of_what_is_around_it() -> None:
    probe = [(1, [(2, [(1, "/"), (2, [(1, 1), (2, 0), (3, "http")])])]), (2, 5)]
    volume = [(1, "v"), (2, [(19, [(1, [(1, "map")]), (3, 420)])])]
    environment = [(1, "A"), (3, [(3, [(1, [(1, "m")]), (2, "k"), (3, 0)])])]
    container = [(1, "c"), (7, environment), (10, probe), (8, [])]
    assert content(PODS, [(2, [(1, volume), (2, container), (4, 0)])])["spec"] == {
        "volumes": [{"name": "v", "configMap": {"name": "map", "defaultMode": 420}}],
        "containers": [
            {
                "name": "c",
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k", "optional": False}}}],
                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "initialDelaySeconds": 5},
                "resources": {},
            }
        ],
        "terminationGracePeriodSeconds": 0,
    }


def test_times_are_texts_to_the_second_or_microsecond_and_unset_ones_are_left_out() -> None:
    fields = [(6, [(1, 1_600_000_000), (2, 999_999_999)]), (7, []), (10, [(1, -1), (2, 1_500)]), (8, 3)]
    assert content(EVENTS, fields) == {
        "firstTimestamp": "2020-09-13T12:26:40Z",
        "eventTime": "1969-12-31T23:59:59.000001Z",
        "count": 3,
    }


def test_quantities_are_texts_and_lists_of_numbers_come_packed_or_not() -> None:
    status = [(1, [(1, "cpu"), (2, [(1, "500m")])]), (1, [(1, "memory")])]
    assert content(NODES, [(3, status)])["status"] == {"capacity": {"cpu": "500m", "memory": "0"}}
    groups = [(4, 1), (4, bytes([2, 3])), (4, -1)]
    assert content(PODS, [(2, [(14, groups)])])["spec"]["securityContext"] == {"supplementalGroups": [1, 2, 3, -1]}


def test_a_field_that_comes_again_counts_and_a_message_in_pieces_is_one() -> None:
    fields = [
        (1, [(1, "a"), (3, "n")]),
        (1, [(1, "b"), (3, "")]),
        (2, [(2, [(1, "k"), (2, "v")])]),
        (2, [(4, "NodePort")]),
    ]
    assert content(SERVICES, fields) == {
        "metadata": {"name": "b"},
        "spec": {"selector": {"k": "v"}, "type": "NodePort"},
    }


def test_fields_that_are_not_in_the_schema_are_skipped() -> None:
    unknown = encoded([(1000, "x"), (1001, 5)]) + b"\xa3\x1f\x08\x01\xa4\x1f"
    assert content(SERVICES, encoded([(1, [(1, "a"), (99, "x")])]) + unknown) == {"metadata": {"name": "a"}}


def test_text_that_is_not_utf_8_is_replaced_as_in_json() -> None:
    assert content(SERVICES, [(1, [(1, b"a\xff")])])["metadata"] == {"name": "a\ufffd"}


def test_an_object_that_does_not_say_what_it_is_is_taken_for_what_is_expected() -> None:
    assert protobuf_object(MAGIC + encoded([(2, [(1, [(1, "a")])])]), record_of(SERVICES)) == {
        "kind": "Service",
        "metadata": {"name": "a"},
    }


def test_delete_options_are_read_with_their_preconditions() -> None:
    fields = [(1, 0), (2, [(1, "u"), (2, "7")]), (4, "Background"), (5, "All")]
    assert protobuf_object(
        protobuf_body("DeleteOptions", fields, "discovery.k8s.io/v1"), meta_record("DeleteOptions")
    ) == {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u", "resourceVersion": "7"},
        "propagationPolicy": "Background",
        "dryRun": ["All"],
    }


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "empty data (<empty>)"),
        (b"{}", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] (7b7d)"),
        (MAGIC, "empty body (6b387300)"),
        (MAGIC + b"\x0a\x05" + b"a" * 3, "unexpected EOF (6b3873000a05616161)"),
        (MAGIC + b"\x08\x05", "proto: wrong wireType = 0 for field 1 (6b3873000805)"),
        (MAGIC + b"\x0a" * 40, f"unexpected EOF (6b387300{'0a' * 26} ...)"),
    ],
)
def test_a_body_that_is_no_envelope_is_unrecognized(sent: bytes, reason: str) -> None:
    assert refusal(sent, record_of(PODS)) == f"the object provided is unrecognized (must be of type Pod): {reason}"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x0a\x05a", "unexpected EOF"),
        (encoded([(1, 5)]), "proto: wrong wireType = 0 for field metadata"),
        (encoded([(2, [(13, "yes")])]), "proto: wrong wireType = 2 for field publishNotReadyAddresses"),
        (encoded([(2, [(2, 1)])]), "proto: wrong wireType = 0 for field selector"),
        (encoded([(1, [(8, [(1, 2**62)])])]), f"a time of {2**62} seconds is out of range"),
        (encoded([(1, [(17, [(7, [(1, "{")])])])]), "json parse error"),
    ],
)
def test_an_object_that_cannot_be_read_is_refused_and_says_why(raw: bytes, reason: str) -> None:
    message = refusal(protobuf_body("Service", raw), record_of(SERVICES))
    assert message.startswith(f'Service in version "v1" cannot be handled as a Service: {reason}')


def test_an_object_of_another_kind_is_refused() -> None:
    expected = "the kind in the data (Pod) does not match the expected kind (Service)"
    assert refusal(protobuf_body("Pod", [(1, [])]), record_of(SERVICES)) == expected


@pytest.mark.parametrize("record", all_types().values(), ids=lambda record: record.full_name)
def test_every_field_has_a_number_but_the_type_of_a_whole_object(record: Record) -> None:
    unnumbered = record.fields.keys() - set(record.names.values())
    if record.name not in TOO_NEW:
        unnumbered = {name for name in unnumbered if not _is_too_new(record.fields[name].type)}
        assert unnumbered <= (
            {"apiVersion", "kind"} if "metadata" in record.fields or record.name == "DeleteOptions" else set()
        )


def _is_too_new(expected: Type) -> bool:
    expected = expected.items if isinstance(expected, ListOf) else expected
    return isinstance(expected, Record) and expected.name in TOO_NEW


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": NAMES,
    "integer": st.integers(-(2**63), 2**63 - 1).filter(bool),
    "boolean": st.just(True),
    "Time": st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='seconds')}Z"),
    "MicroTime": st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='microseconds')}Z"),
    "Quantity": st.sampled_from(["0", "500m", "1Gi"]),
    "IntOrString": st.integers(1, 65535) | NAMES,
    "any": st.dictionaries(NAMES, st.integers() | st.just({}), max_size=3),
}
ZEROES = {"string": "", "integer": 0, "boolean": False, "IntOrString": 0}


@st.composite
def documents(draw: st.DrawFn, record: Record) -> dict[str, Any]:
    """Objects of a type, with a few members each."""
    numbered = sorted(set(record.names.values()) - {""})
    names = draw(st.lists(st.sampled_from(numbered), unique=True, max_size=4)) if numbered else []
    return {name: draw(members(record.fields[name])) for name in names}


def members(field: Field) -> st.SearchStrategy[Any]:
    if isinstance(field.type, Scalar) and field.type.name in ZEROES and (field.is_required or field.is_explicit):
        return values(field.type) | st.just(ZEROES[field.type.name])
    return values(field.type)


def values(expected: Type) -> st.SearchStrategy[Any]:
    if isinstance(expected, ListOf):
        return st.lists(values(expected.items), min_size=1, max_size=3)
    if isinstance(expected, MapOf):
        return st.dictionaries(NAMES, values(expected.values), min_size=1, max_size=3)
    return documents(expected) if isinstance(expected, Record) else SCALARS[expected.name]


@given(st.data(), st.sampled_from(KINDS))
def test_every_object_is_read_as_it_was_written(data: st.DataObject, kind: Kind) -> None:
    document = data.draw(documents(record_of(kind)))
    assert content(kind, document_fields(record_of(kind), document)) == document


@given(st.data(), st.sampled_from(KINDS))
def test_every_object_that_is_sent_is_read_as_it_was(data: st.DataObject, kind: Kind) -> None:
    document = data.draw(documents(record_of(kind)))
    sent = enveloped(kind.api_version, kind.kind, message_of(record_of(kind), document))
    assert protobuf_object(sent, record_of(kind)) == {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        **document,
    }


@given(st.data(), st.sampled_from(KINDS))
def test_whatever_bytes_come_they_are_an_object_or_a_bad_request(data: st.DataObject, kind: Kind) -> None:
    record = record_of(kind)
    sent = bytearray(protobuf_body(kind.kind, document_fields(record, data.draw(documents(record))), kind.api_version))
    for place in data.draw(st.lists(st.integers(4, len(sent) - 1), max_size=4)):
        sent[place] = data.draw(st.integers(0, 255))
    sent = sent[: data.draw(st.integers(0, len(sent)))] + data.draw(st.binary(max_size=8))
    code = 400
    try:
        conforming(kind, protobuf_object(bytes(sent), record), "Strict")
    except StatusError as error:
        code = error.status.code
    assert code == 400
