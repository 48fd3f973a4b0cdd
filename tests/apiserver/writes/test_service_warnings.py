"""Warnings of Services, in the API server's words."""

from typing import Any

import pytest

from proxy.apiserver.writes.service_warnings import service_warnings

DEPRECATED = "spec.externalIPs is deprecated and may no longer be implemented in some clusters"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]}, []),
        ({"externalIPs": ["192.0.2.1"]}, [DEPRECATED]),
        (
            {"externalIPs": ["2001:DB8::1"]},
            [
                DEPRECATED,
                'spec.externalIPs[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical '
                'format ("2001:db8::1")',
            ],
        ),
        (
            {"trafficDistribution": "PreferClose"},
            ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'],
        ),
        ({"trafficDistribution": "PreferSameZone"}, []),
        (
            {"clusterIP": "None", "clusterIPs": ["None"], "sessionAffinity": "ClientIP"},
            ["spec.SessionAffinity is ignored for headless services"],
        ),
        ({"externalName": "a.b"}, ['spec.externalName is ignored when spec.type is not "ExternalName"']),
        (
            {"type": "ExternalName", "externalName": "a.b", "externalIPs": ["192.0.2.1"]},
            [DEPRECATED, 'spec.externalIPs is ignored when spec.type is "ExternalName"'],
        ),
        (
            {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.01"},
            ['spec.loadBalancerIP: non-standard IP address "192.0.2.01" is invalid: use "192.0.2.1"'],
        ),
        (
            {"loadBalancerSourceRanges": ["2001:DB8::/32", "10.0.0.0/8"]},
            [
                'spec.loadBalancerSourceRanges[0]: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical '
                'format ("2001:db8::/32")'
            ],
        ),
    ],
)
def test_what_is_deprecated_ignored_or_written_oddly_is_told(spec: dict[str, Any], expected: list[str]) -> None:
    assert list(service_warnings({"metadata": {}, "spec": spec})) == expected


def test_the_annotation_that_was_renamed_is_told() -> None:
    document = {"metadata": {"annotations": {"service.kubernetes.io/topology-aware-hints": "Auto"}}}
    assert list(service_warnings(document)) == [
        "annotation service.kubernetes.io/topology-aware-hints is deprecated, "
        "please use service.kubernetes.io/topology-mode instead"
    ]
