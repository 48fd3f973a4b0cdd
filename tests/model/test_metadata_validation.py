"""The rules about names, labels and annotations, with the API server's exact words."""

import pytest

from tests.model.service_errors import LABEL_RULE, ONLY_LOAD_BALANCER, errors_of


@pytest.mark.parametrize(
    ("metadata", "errors"),
    [
        ({"name": "Web"}, [f'metadata.name: Invalid value: "Web": {LABEL_RULE}']),
        ({"name": "a.b"}, ['metadata.name: Invalid value: "a.b": must not contain dots']),
        ({"name": "1web"}, []),
        ({"name": ""}, ["metadata.name: Required value: name or generateName is required"]),
        ({"namespace": ""}, ["metadata.namespace: Required value"]),
        ({"namespace": "a.b"}, ['metadata.namespace: Invalid value: "a.b": must not contain dots']),
        ({"labels": {"/a": "b"}}, ['metadata.labels: Invalid value: "/a": prefix part must be non-empty']),
        (
            {"labels": {"a": "b" * 64}},
            [f'metadata.labels: Invalid value: "{"b" * 64}": must be no more than 63 bytes'],
        ),
        ({"annotations": {"Example.com/A": "any text at all"}}, []),
        ({"annotations": {"/a": ""}}, ['metadata.annotations: Invalid value: "/a": prefix part must be non-empty']),
        (
            {
                "annotations": {
                    "service.kubernetes.io/topology-mode": "Auto",
                    "service.kubernetes.io/topology-aware-hints": "auto",
                }
            },
            [
                'metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "Auto": must match'
                " annotations[service.kubernetes.io/topology-aware-hints] when both are specified"
            ],
        ),
        (
            {"annotations": {"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, x"}},
            [
                f"metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: {ONLY_LOAD_BALANCER}",
                'metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value: "x":'
                " must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ],
        ),
    ],
)
def test_holds_metadata_to_the_rules(metadata: dict[str, object], errors: list[str]) -> None:
    assert errors_of({}, metadata) == errors


def test_a_selector_is_made_of_labels() -> None:
    assert errors_of({"selector": {"/app": "web", "tier": "a" * 64}}) == [
        'spec.selector: Invalid value: "/app": prefix part must be non-empty',
        f'spec.selector: Invalid value: "{"a" * 64}": must be no more than 63 bytes',
    ]
