"""Values of the wrong type, in the words of the API server."""

from typing import Any

import pytest

from proxy.apiserver.kinds import PODS, SERVICES, Kind
from proxy.apiserver.schema.schema_conformance import type_mismatch


@pytest.mark.parametrize(
    ("kind", "document", "text"),
    [
        (
            SERVICES,
            {"spec": {"ports": [{"port": "http"}]}},
            "string into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            SERVICES,
            {"spec": {"ports": {}}},
            "object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
        ),
        (SERVICES, {"spec": []}, "array into Go struct field Service.spec of type v1.ServiceSpec"),
        (
            SERVICES,
            {"spec": {"selector": {"a": 1}}},
            "number into Go struct field ServiceSpec.spec.selector of type string",
        ),
        (
            SERVICES,
            {"metadata": {"labels": ["a"]}},
            "array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            SERVICES,
            {"spec": {"publishNotReadyAddresses": "true"}},
            "string into Go struct field ServiceSpec.spec.publishNotReadyAddresses of type bool",
        ),
        (SERVICES, {"spec": {"type": True}}, "bool into Go struct field ServiceSpec.spec.type of type string"),
        (
            SERVICES,
            {"spec": {"ports": [{"port": True}]}},
            "bool into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            SERVICES,
            {"spec": {"ports": [{"port": 80.5}]}},
            "number into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            SERVICES,
            {"spec": {"ports": [{"targetPort": 1.5}]}},
            "number into Go struct field ServicePort.spec.ports.targetPort of type intstr.IntOrString",
        ),
        (
            PODS,
            {"spec": {"containers": [{"resources": {"limits": {"cpu": []}}}]}},
            "array into Go struct field ResourceRequirements.spec.containers.resources.limits of type string",
        ),
        (SERVICES, [], "array into Go value of type v1.Service"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_as_go_names_it(kind: Kind, document: Any, text: str) -> None:
    assert type_mismatch(kind, document) == f"json: cannot unmarshal {text}"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"spec": None, "metadata": {"labels": None}},
        {"spec": {"ports": [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}]}},
        {"unknown": 7, "metadata": {"managedFields": [{"fieldsV1": {"f:a": {}}}]}},
    ],
)
def test_values_of_the_right_types_pass(document: dict[str, Any]) -> None:
    assert type_mismatch(SERVICES, document) is None


def test_quantities_are_text_or_numbers() -> None:
    limits = {"cpu": 1, "memory": "1Gi", "example.com/half": 0.5}
    assert type_mismatch(PODS, {"spec": {"containers": [{"resources": {"limits": limits}}]}}) is None
