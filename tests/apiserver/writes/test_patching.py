"""One patch of each content type, and those that are refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.kinds import PODS, SERVICES
from proxy.apiserver.status import Status, StatusError
from proxy.apiserver.writes.patching import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    PATCH_TYPES,
    STRATEGIC_MERGE_PATCH,
    parsed_patch,
    patched,
)

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "web"}},
}


def patch(
    body: bytes | str | Any, content_type: str, current: Any = SERVICE, manager: str = "me", force: bool = False
) -> Any:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return patched(SERVICES, current, parsed_patch(encoded, content_type), manager, force, "2026-01-01T00:00:00Z")


def refusal(*arguments: Any, **options: Any) -> Status:
    with pytest.raises(StatusError) as raised:
        patch(*arguments, **options)
    return raised.value.status


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON_PATCH, [{"op": "add", "path": "/spec/sessionAffinity", "value": "ClientIP"}]),
        (MERGE_PATCH, {"spec": {"sessionAffinity": "ClientIP"}}),
        (STRATEGIC_MERGE_PATCH, {"spec": {"sessionAffinity": "ClientIP"}}),
        (f"{MERGE_PATCH}; charset=utf-8", {"spec": {"sessionAffinity": "ClientIP"}}),
    ],
)
def test_each_kind_of_patch_can_turn_affinity_on_and_owns_it(content_type: str, body: Any) -> None:
    result = patch(body, content_type)
    assert result["spec"] == {**SERVICE["spec"], "sessionAffinity": "ClientIP"}
    (entry,) = result["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("me", "Update")
    assert entry["fieldsV1"] == {"f:spec": {"f:sessionAffinity": {}}}


def test_lists_are_merged_by_a_strategic_patch_alone() -> None:
    body = {"spec": {"ports": [{"port": 443, "name": "https"}]}}
    assert len(patch(body, STRATEGIC_MERGE_PATCH)["spec"]["ports"]) == 2
    assert len(patch(body, MERGE_PATCH)["spec"]["ports"]) == 1


@pytest.mark.parametrize("as_yaml", [True, False])
def test_an_apply_patch_is_yaml_or_json_and_creates_what_is_not_there(as_yaml: bool) -> None:
    text = b"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort}\n"
    body = (
        text
        if as_yaml
        else {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "NodePort"}}
    )
    created = patch(body, APPLY_PATCH, None)
    assert created["spec"] == {"type": "NodePort"}
    assert created["metadata"]["managedFields"][0]["operation"] == "Apply"


def test_an_unknown_media_type_is_answered_with_those_that_are_known() -> None:
    status = refusal({}, "application/json")
    assert (status.code, status.reason) == (415, "UnsupportedMediaType")
    assert status.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, "
        "application/apply-patch+yaml"
    )


@pytest.mark.parametrize("content_type", PATCH_TYPES)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'"text"', b"7", b"NaN", b"[" * 5000, b'{"a":' * 5000, b'{"a":' * 300 + b"1" + b"}" * 300],
)
def test_a_body_that_is_no_patch_is_a_bad_request(content_type: str, body: bytes) -> None:
    assert refusal(body, content_type).code == 400


def test_a_document_that_yaml_blows_up_is_a_bad_request() -> None:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 9)]
    assert refusal(b"\n".join(lines), APPLY_PATCH).code == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "Service"}, "apiVersion: Required value"),
        ({"apiVersion": "v1"}, "kind: Required value"),
        ({"apiVersion": "v1", "kind": "Pod"}, "the apply patch is a v1, Kind=Pod, expected v1, Kind=Service"),
        (
            {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": "http"}]}},
            "cannot be handled as a Service: json: cannot unmarshal string into Go struct field "
            "ServicePort.spec.ports.port of type int32",
        ),
    ],
)
def test_an_apply_patch_has_to_be_an_object_of_the_kind(body: Any, message: str) -> None:
    status = refusal(body, APPLY_PATCH)
    assert status.code == 400
    assert message in status.message


def test_an_apply_patch_needs_a_manager() -> None:
    status = refusal({}, APPLY_PATCH, manager="")
    assert status.code == 422
    assert status.message == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )


def test_only_an_apply_patch_can_be_forced() -> None:
    status = refusal({}, MERGE_PATCH, force=True)
    assert status.message.endswith("force: Forbidden: may not be specified for non-apply patch")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MERGE_PATCH, {"spec": {"ports": "x"}}),
        (STRATEGIC_MERGE_PATCH, {"spec": {"ports": "x"}}),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/ports", "value": "x"}]),
        (JSON_PATCH, [{"op": "remove", "path": "/metadata"}]),
    ],
)
def test_a_patch_that_leaves_no_service_is_refused_on_the_field_patch(content_type: str, body: Any) -> None:
    status = refusal(body, content_type)
    assert (status.code, status.reason) == (422, "Invalid")
    assert status.details is not None
    assert [cause.field for cause in status.details.causes] == ["patch"]


def test_a_patch_that_leaves_no_object_is_refused() -> None:
    assert refusal([{"op": "replace", "path": "", "value": 7}], JSON_PATCH).code == 400


def test_only_an_apply_patch_creates() -> None:
    with pytest.raises(ValueError, match="creates"):
        patch({}, MERGE_PATCH, None)


WORDS = ["x", "TCP", "delete", "replace", "/spec", "add"]
DIRECTIVES = ["$patch", "$retainKeys", "$setElementOrder/ports", "$deleteFromPrimitiveList/finalizers"]
MEMBERS = [
    "metadata",
    "spec",
    "ports",
    "port",
    "name",
    "selector",
    "finalizers",
    "managedFields",
    "op",
    "path",
    "value",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 99999) | st.sampled_from(WORDS),
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from(DIRECTIVES + MEMBERS), parts, max_size=4)
    ),
    max_leaves=20,
)
SPECS = st.fixed_dictionaries({"spec": JSON, "metadata": JSON})


@given(JSON | SPECS, st.sampled_from(PATCH_TYPES), st.sampled_from([SERVICES, PODS]))
def test_whatever_is_sent_the_answer_is_an_object_or_a_status(body: Any, content_type: str, kind: Any) -> None:
    codes = set()
    if content_type == APPLY_PATCH and isinstance(body, dict):
        body = {**body, "apiVersion": "v1", "kind": kind.kind}
    try:
        sent = parsed_patch(json.dumps(body).encode(), content_type)
        result = patched(kind, {**SERVICE, "kind": kind.kind}, sent, "me", False, "now")
    except StatusError as error:
        codes.add(error.status.code)
    else:
        assert isinstance(result["metadata"], dict)
    assert codes <= {400, 409, 422, 500}


def test_metadata_that_is_null_is_as_good_as_left_out() -> None:
    sent = parsed_patch(b'{"apiVersion": "v1", "kind": "Service", "metadata": null}', APPLY_PATCH)
    result = patched(SERVICES, {**SERVICE, "kind": "Service"}, sent, "me", False, "now")
    assert result["metadata"]["name"] == SERVICE["metadata"]["name"]
