"""Bodies as kubectl and other clients send them."""

import pytest

from proxy.apiserver.http.bodies import parsed_body
from proxy.apiserver.kinds import PODS
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.status import StatusError
from tests.apiserver.protobuf_encoder import protobuf_body

ALIASES = b"".join(b"a%d: &%c [%b]\n" % (n, 97 + n, b",".join([b"*%c" % (96 + n)] * 10)) for n in range(1, 8))


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
    assert parsed_body(body, content_type, record_of(PODS)) == ({"kind": "Pod"}, ())


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{}", "application/vnd.kubernetes.protobuf", 400),
        (b"", "application/vnd.kubernetes.protobuf", 400),
        (b"{}", "text/plain", 415),
        (b"", "application/json", 400),
        (b"{} {}", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (rb'{"a": "\ud800"}', "application/json", 400),
        (b'{"a": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b'{"a": [' + b"1," * 60_000 + b"1]}", "application/json", 413),
        (b"a: [" + b"1," * 60_000 + b"1]", "application/yaml", 400),
        (b"a0: &a [1,1,1,1,1,1,1,1,1,1]\n" + ALIASES, "application/yaml", 400),
        (b"#" * 2_000_000, "application/yaml", 413),
        (protobuf_body("Pod", [(1, "")] * 60_000, ""), "application/vnd.kubernetes.protobuf", 413),
        (b"[" * 100_000, "application/json", 413),
        (b"[" * 10_000, "application/json", 400),
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


def test_what_is_set_twice_counts_as_it_is_set_last_and_is_named() -> None:
    body = b'{"kind": "Pod", "spec": {"containers": [{}, {"name": "a", "name": "b"}], "nodeName": "x"}, "kind": "Pod"}'
    document, duplicates = parsed_body(body, "application/json", record_of(PODS))
    assert document["spec"]["containers"][1] == {"name": "b"}
    assert duplicates == ("spec.containers[1].name", "kind")


def test_bytes_that_are_no_text_become_the_replacement_character() -> None:
    assert parsed_body(b'{"a": "\xff"}', "application/json", record_of(PODS))[0] == {"a": "\ufffd"}
