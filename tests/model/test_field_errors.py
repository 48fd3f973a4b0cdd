"""The rendering of field errors."""

import pytest

from proxy.model import field_errors
from proxy.model.problem import FieldError


@pytest.mark.parametrize(
    ("error", "reason", "text"),
    [
        (field_errors.required("spec.ports"), "FieldValueRequired", "spec.ports: Required value"),
        (field_errors.required("a", "why"), "FieldValueRequired", "a: Required value: why"),
        (field_errors.invalid("a", "x", "why"), "FieldValueInvalid", 'a: Invalid value: "x": why'),
        (field_errors.invalid("a", 0, "why"), "FieldValueInvalid", "a: Invalid value: 0: why"),
        (field_errors.invalid("a", True, "why"), "FieldValueInvalid", "a: Invalid value: true: why"),
        (field_errors.invalid("a", ("10.0.0.9",), "why"), "FieldValueInvalid", 'a: Invalid value: ["10.0.0.9"]: why'),
        (field_errors.invalid("a", None, "why"), "FieldValueInvalid", "a: Invalid value: null: why"),
        (field_errors.wrong_type("a", "x", "why"), "FieldValueTypeInvalid", 'a: Invalid value: "x": why'),
        (
            field_errors.not_supported("a", "X", ("A", "B")),
            "FieldValueNotSupported",
            'a: Unsupported value: "X": supported values: "A", "B"',
        ),
        (field_errors.duplicate("a", 30080), "FieldValueDuplicate", "a: Duplicate value: 30080"),
        (field_errors.forbidden("a", "why"), "FieldValueForbidden", "a: Forbidden: why"),
        (field_errors.too_many("a", 9, 8), "FieldValueTooMany", "a: Too many: 9: must have at most 8 items"),
    ],
)
def test_reads_as_the_api_server_writes(error: FieldError, reason: str, text: str) -> None:
    assert (error.reason, str(error)) == (reason, text)


def test_shows_a_value_that_json_has_no_form_for_by_its_text() -> None:
    assert field_errors.rendered(1j) == '"1j"'
