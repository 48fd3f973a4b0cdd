"""Accept headers as kubectl, informers and other clients send them."""

import pytest

from proxy.apiserver.http.negotiation import JSON, PROTOBUF, STREAMED, YAML, Form, answer_form
from proxy.apiserver.status import StatusError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("application/*", Form()),
        ("application/json", Form(JSON)),
        ("application/json; charset=utf-8", Form(JSON)),
        (
            f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Form(JSON, "Table"),
        ),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", Form(JSON, "Table", "v1beta1")),
        (f"application/json, {TABLE}", Form(JSON)),
        ("application/vnd.kubernetes.protobuf,application/json", Form(PROTOBUF)),
        (f"application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1, {TABLE}", Form(JSON, "Table")),
        (f"application/vnd.kubernetes.protobuf;{METADATA},{JSON}", Form(PROTOBUF, "PartialObjectMetadataList")),
        (f"application/json;{METADATA},application/json", Form(JSON, "PartialObjectMetadataList")),
        ("application/yaml", Form(YAML)),
        ("application/yaml;as=Table;g=meta.k8s.io;v=v1", Form(YAML, "Table")),
        ("text/html, application/yaml;q=0.5, application/json;q=0.4", Form(YAML)),
        ("application/json;as=Nothing;g=meta.k8s.io;v=v1,application/json", Form(JSON)),
    ],
)
def test_the_first_form_that_can_be_given_is_given(header: str, form: Form) -> None:
    assert answer_form(header) == form


@pytest.mark.parametrize(
    "header",
    [
        "text/html",
        "application/json;as=Nothing",
        "application/json;as=Table;g=meta.k8s.io;v=v2",
        "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1",
    ],
)
def test_a_form_that_cannot_be_given_is_not_acceptable(header: str) -> None:
    with pytest.raises(StatusError) as refused:
        answer_form(header)
    assert refused.value.status.code == 406
    assert refused.value.status.message == (
        "only the following media types are accepted: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


def test_a_stream_is_never_yaml() -> None:
    assert answer_form("application/yaml,application/json", STREAMED) == Form(JSON)
    with pytest.raises(StatusError, match="application/json;stream=watch"):
        answer_form("application/yaml", STREAMED)
