"""Unknown fields of a Service."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.service import Service, ServicePort, ServiceSpec
from proxy.model.strict_fields import unknown_service_fields


@pytest.mark.parametrize(
    ("document", "path", "suggestion"),
    [
        ({"spec": {"foo": 1}}, "spec.foo", ""),
        ({"spec": {"sessionAfinity": "ClientIP"}}, "spec.sessionAfinity", "sessionAffinity"),
        ({"spec": {"clusterip": ""}}, "spec.clusterip", "clusterIP"),
        ({"spec": {"ports": [{}, {"targetport": 1}]}}, "spec.ports[1].targetport", "targetPort"),
        ({"spec": {"sessionAffinityConfig": {"clientIp": {}}}}, "spec.sessionAffinityConfig.clientIp", "clientIP"),
        (
            {"spec": {"sessionAffinityConfig": {"clientIP": {"timeout": 1}}}},
            "spec.sessionAffinityConfig.clientIP.timeout",
            "timeoutSeconds",
        ),
        ({"sepc": {}}, "sepc", "spec"),
    ],
)
def test_names_the_unknown_field_and_the_one_that_was_meant(
    document: dict[str, object], path: str, suggestion: str
) -> None:
    hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
    (error,) = unknown_service_fields(document)
    assert (error.field, error.text) == (path, f'strict decoding error: unknown field "{path}"{hint}')


def test_metadata_and_status_may_hold_anything() -> None:
    assert unknown_service_fields({"metadata": {"managedFields": []}, "status": {"conditions": []}}) == ()


@given(st.from_type(ServicePort))
def test_every_field_of_the_structs_is_known(port: ServicePort) -> None:
    everything = {field.encode_name: None for field in msgspec.structs.fields(ServiceSpec)}
    document: dict[str, object] = {field.encode_name: {} for field in msgspec.structs.fields(Service)}
    ports = [msgspec.to_builtins(port)]
    assert unknown_service_fields({**document, "spec": {**everything, "ports": ports}}) == ()


@given(st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_values_of_the_wrong_type_are_not_its_concern(value: object) -> None:
    for document in ({"spec": value}, {"spec": {"ports": value}}, {"spec": {"sessionAffinityConfig": value}}):
        assert isinstance(unknown_service_fields(document), tuple)
