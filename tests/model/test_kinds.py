"""Kinds, and the mistakes between them."""

import pytest

from proxy.model.kinds import VERSIONS, kind_errors


@pytest.mark.parametrize(
    ("kind", "api_version"),
    [
        *VERSIONS.items(),
        ("ConfigMap", "v1"),
        ("Secret", "v1"),
        ("ServiceList", "v1"),
        ("List", "v1"),
        ("Deployment", "apps/v1"),
        ("Ingress", "networking.k8s.io/v1"),
        ("Service", "serving.knative.dev/v1"),
        ("EndpointSlice", "other.example/v1"),
        ("service", "example.com/v1"),
    ],
)
def test_a_kind_that_somebody_has_is_no_mistake(kind: str, api_version: str) -> None:
    assert kind_errors(kind, api_version) == ()


@pytest.mark.parametrize(
    ("kind", "api_version", "message"),
    [
        ("service", "v1", 'kind: no matches for kind "service" in version "v1": did you mean "Service"?'),
        ("Services", "v1", 'kind: no matches for kind "Services" in version "v1": did you mean "Service"?'),
        ("Sevrice", "v1", 'kind: no matches for kind "Sevrice" in version "v1": did you mean "Service"?'),
        ("list", "v1", 'kind: no matches for kind "list" in version "v1": did you mean "List"?'),
        ("Config_Map", "v1", 'kind: no matches for kind "Config_Map" in version "v1": did you mean "ConfigMap"?'),
        ("Deployment", "v1", 'kind: no matches for kind "Deployment" in version "v1"'),
        (
            "Endpointslice",
            "discovery.k8s.io/v1",
            'kind: no matches for kind "Endpointslice" in version "discovery.k8s.io/v1": did you mean "EndpointSlice"?',
        ),
        ("pod", "v2", 'kind: no matches for kind "pod" in version "v2": did you mean "Pod"?'),
        ("Service", "V1", 'apiVersion: Unsupported value: "V1": supported values: "v1"'),
        ("EndpointSlice", "v1", 'apiVersion: Unsupported value: "v1": supported values: "discovery.k8s.io/v1"'),
        (
            "EndpointSlice",
            "discovery.k8s/v1",
            'apiVersion: Unsupported value: "discovery.k8s/v1": supported values: "discovery.k8s.io/v1"',
        ),
    ],
)
def test_a_mistake_is_told_with_what_was_meant(kind: str, api_version: str, message: str) -> None:
    assert [str(error) for error in kind_errors(kind, api_version)] == [message]
