"""Accept headers and bodies as kubectl and other clients send them."""

import pytest

from proxy.apiserver.http.negotiation import parsed_body, wants_table
from proxy.apiserver.kinds import PODS
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.status import StatusError
from tests.apiserver.protobuf_encoder import protobuf_body

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("header", "table"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        (f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", True),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", False),
        (f"application/json, {TABLE}", False),
        ("application/vnd.kubernetes.protobuf,application/json", False),
        (f"application/vnd.kubernetes.protobuf;as=Table, {TABLE}", True),
    ],
)
def test_the_first_form_that_can_be_given_is_given(header: str, table: bool) -> None:
    assert wants_table(header) is table


@pytest.mark.parametrize("header", ["text/html", "application/vnd.kubernetes.protobuf", "application/json;as=Nothing"])
def test_a_form_that_cannot_be_given_is_not_acceptable(header: str) -> None:
    with pytest.raises(StatusError) as refused:
        wants_table(header)
    assert refused.value.status.code == 406


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"kind": "Pod"}', "application/json"),
        (b'{"kind": "Pod"}', ""),
        (b'{"kind": "Pod"}', "application/json; charset=utf-8"),
        (b"kind: Pod\n", "application/yaml"),
        (protobuf_body("Pod", [], ""), "application/vnd.kubernetes.protobuf"),
        (protobuf_body("Pod", [], ""), "application/vnd.kubernetes.protobuf; charset=utf-8"),
    ],
)
def test_an_object_is_read_from_json_yaml_and_protobuf(body: bytes, content_type: str) -> None:
    assert parsed_body(body, content_type, record_of(PODS)) == {"kind": "Pod"}


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{}", "application/vnd.kubernetes.protobuf", 400),
        (b"", "application/vnd.kubernetes.protobuf", 400),
        (b"{}", "text/plain", 415),
        (b"", "application/json", 400),
        (b"{} {}", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'{"a": 1, "a": 2}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"a: [", "application/yaml", 400),
    ],
)
def test_what_is_no_object_is_refused(body: bytes, content_type: str, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        parsed_body(body, content_type, record_of(PODS))
    assert refused.value.status.code == code


def test_the_media_types_that_a_body_may_have_are_named() -> None:
    with pytest.raises(StatusError) as refused:
        parsed_body(b"{}", "text/plain", record_of(PODS))
    assert refused.value.status.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )
