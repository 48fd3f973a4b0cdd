"""The OpenAPI v3 documents that kubectl reads."""

import hashlib
import json
from typing import Any

import pytest

from proxy.apiserver.http.openapi import openapi_document, openapi_index
from proxy.apiserver.kinds import KINDS, SERVED, Kind
from proxy.apiserver.schema.schema import record_of


def document(path: str) -> Any:
    text = openapi_document(path)
    assert text is not None
    return json.loads(text)


def schemas(path: str = "api/v1") -> Any:
    return document(path)["components"]["schemas"]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_the_index_names_each_document_with_a_hash_of_what_is_in_it() -> None:
    paths = openapi_index()["paths"]
    assert paths.keys() == {kind.root.removeprefix("/") for kind in SERVED}
    for path, entry in paths.items():
        digest = hashlib.sha256(openapi_document(path) or b"").hexdigest().upper()
        assert entry == {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}


def test_there_is_no_document_of_what_is_not_served() -> None:
    assert openapi_document("apis/apps/v1") is None
    assert openapi_document("") is None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "patch" in kind.verbs], ids=lambda kind: kind.kind)
def test_every_kind_has_a_schema_and_a_patch_that_validates_fields(kind: Kind) -> None:
    whole = document(kind.root.removeprefix("/"))
    named = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    schema = whole["components"]["schemas"][record_of(kind).full_name]
    assert schema["x-kubernetes-group-version-kind"] == [named]
    (patch,) = [
        item["patch"]
        for item in whole["paths"].values()
        if "patch" in item and item["patch"]["x-kubernetes-group-version-kind"] == named
    ]
    assert "fieldValidation" in [each["name"] for each in patch["parameters"] if each["in"] == "query"]
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


@pytest.mark.parametrize("path", ["api/v1", "apis/discovery.k8s.io/v1"])
def test_every_reference_leads_somewhere(path: str) -> None:
    whole = document(path)
    targets = {f"#/components/schemas/{name}" for name in whole["components"]["schemas"]}
    assert references(whole) <= targets


def test_the_ports_of_a_service_say_how_they_merge() -> None:
    ports = schemas()["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"]
    assert ports["x-kubernetes-patch-strategy"] == "merge"
    assert ports["x-kubernetes-patch-merge-key"] == "port"
    assert ports["x-kubernetes-list-type"] == "map"
    assert ports["x-kubernetes-list-map-keys"] == ["port", "protocol"]
    assert ports["items"] == {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.ServicePort"}]}


def test_fields_say_what_is_required_possible_and_assumed() -> None:
    port = schemas()["io.k8s.api.core.v1.ServicePort"]
    assert port["required"] == ["port"]
    assert port["properties"]["protocol"]["enum"] == ["SCTP", "TCP", "UDP"]
    assert port["properties"]["protocol"]["default"] == "TCP"
    spec = schemas()["io.k8s.api.core.v1.ServiceSpec"]["properties"]
    assert spec["sessionAffinity"]["enum"] == ["ClientIP", "None"]
    assert '"ClientIP"' in spec["sessionAffinity"]["description"]
    assert spec["selector"]["x-kubernetes-map-type"] == "atomic"
    assert spec["externalIPs"]["x-kubernetes-list-type"] == "atomic"


def test_lists_of_volumes_and_sets_are_told_apart() -> None:
    volumes = schemas()["io.k8s.api.core.v1.PodSpec"]["properties"]["volumes"]
    assert volumes["x-kubernetes-patch-strategy"] == "merge,retainKeys"
    finalizers = schemas()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["finalizers"]
    assert finalizers["x-kubernetes-list-type"] == "set"
    assert schemas()["io.k8s.api.core.v1.LocalObjectReference"]["x-kubernetes-map-type"] == "atomic"
