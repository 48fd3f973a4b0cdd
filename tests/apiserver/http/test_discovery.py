"""What kubectl finds out about the API before it asks for anything, aggregated and legacy."""

import pytest

from proxy.apiserver.http.discovery import (
    aggregated,
    aggregated_media_type,
    aggregated_version,
    api_group,
    api_group_list,
    api_resource_list,
    api_versions,
)
from proxy.apiserver.kinds import SERVED

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2_BETA = V2.replace("v=v2;", "v=v2beta1;")


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (f"{V2},{V2_BETA},application/json", "v2"),
        (f"{V2_BETA},application/json", "v2beta1"),
        (V2.replace(";", "; "), "v2"),
        (V2.replace("v=v2", "v=v3"), None),
        ("application/json", None),
        ("*/*", None),
        ("", None),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", None),
    ],
)
def test_the_first_aggregated_form_that_is_known_is_given(accept: str, version: str | None) -> None:
    assert aggregated_version(accept) == version


def test_the_content_type_names_the_form() -> None:
    assert aggregated_media_type("v2") == V2


def test_core_resources_are_under_api() -> None:
    document = aggregated("/api", "v2")
    assert document["apiVersion"] == "apidiscovery.k8s.io/v2"
    (group,) = document["items"]
    (version,) = group["versions"]
    services = next(each for each in version["resources"] if each["resource"] == "services")
    assert services == {
        "resource": "services",
        "responseKind": {"group": "", "version": "v1", "kind": "Service"},
        "scope": "Namespaced",
        "singularResource": "service",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["svc"],
        "categories": ["all"],
        "subresources": [
            {
                "subresource": "status",
                "responseKind": {"group": "", "version": "v1", "kind": "Service"},
                "verbs": ["get", "patch", "update"],
            }
        ],
    }
    assert next(each for each in version["resources"] if each["resource"] == "nodes")["scope"] == "Cluster"


def test_other_groups_are_under_apis() -> None:
    groups = {
        group["metadata"]["name"]: [each["resource"] for each in group["versions"][0]["resources"]]
        for group in aggregated("/apis", "v2beta1")["items"]
    }
    assert groups == {
        "apiextensions.k8s.io": ["customresourcedefinitions"],
        "authentication.k8s.io": ["selfsubjectreviews"],
        "authorization.k8s.io": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        "discovery.k8s.io": ["endpointslices"],
        "events.k8s.io": ["events"],
        "networking.k8s.io": ["servicecidrs", "ipaddresses"],
    }


def test_the_older_form_names_versions_groups_and_resources() -> None:
    assert api_versions("127.0.0.1:6443")["versions"] == ["v1"]
    version = {"groupVersion": "discovery.k8s.io/v1", "version": "v1"}
    group = {"name": "discovery.k8s.io", "versions": [version], "preferredVersion": version}
    groups = api_group_list()
    assert (groups["kind"], groups["apiVersion"]) == ("APIGroupList", "v1")
    assert group in groups["groups"]
    assert api_group("discovery.k8s.io") == {"kind": "APIGroup", "apiVersion": "v1", **group}
    resources = api_resource_list("", "v1")
    assert resources is not None
    assert resources["groupVersion"] == "v1"
    assert {"services", "services/status", "endpoints"} <= {each["name"] for each in resources["resources"]}
    assert "endpoints/status" not in {each["name"] for each in resources["resources"]}


def test_what_is_not_served_is_not_found() -> None:
    assert api_group("apps") is None
    assert api_group("") is None
    assert api_resource_list("apps", "v1") is None
    assert api_resource_list("", "v2") is None


def test_both_forms_name_the_same_resources() -> None:
    older = []
    for group, version in sorted({(kind.group, kind.version) for kind in SERVED}):
        document = api_resource_list(group, version)
        assert document is not None
        older += [each["name"] for each in document["resources"]]
    newer = []
    for root in ("/api", "/apis"):
        for resource in (
            each for group in aggregated(root, "v2")["items"] for each in group["versions"][0]["resources"]
        ):
            newer.append(resource["resource"])
            newer += [f"{resource['resource']}/{each['subresource']}" for each in resource.get("subresources", [])]
    assert sorted(older) == sorted(newer)
