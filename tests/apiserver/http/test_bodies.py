"""Bodies as kubectl and other clients send them."""

import pytest

from proxy.apiserver.http.bodies import parsed_body
from proxy.apiserver.kinds import PODS
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.status import StatusError
from tests.apiserver.protobuf_encoder import protobuf_body


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
