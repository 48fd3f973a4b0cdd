"""Makers of FieldError, one for each kind of finding the API server has.

Invariant: the text is what k8s.io/apimachinery/pkg/util/validation/field renders since Kubernetes 1.36: strings
quoted, numbers and booleans bare, lists and maps as JSON.
"""

import json
from collections.abc import Iterable

from proxy.model.problem import FieldError


def required(field: str, detail: str = "") -> FieldError:
    """`Required value[: DETAIL]`."""
    return FieldError(field, "FieldValueRequired", _with_detail("Required value", detail))


def invalid(field: str, value: object, detail: str) -> FieldError:
    """`Invalid value: V: DETAIL`."""
    return FieldError(field, "FieldValueInvalid", _with_detail(f"Invalid value: {rendered(value)}", detail))


def wrong_type(field: str, value: object, detail: str) -> FieldError:
    """Like `invalid`, for a value that has not even the field's type."""
    return FieldError(field, "FieldValueTypeInvalid", _with_detail(f"Invalid value: {rendered(value)}", detail))


def not_supported(field: str, value: object, supported: Iterable[str]) -> FieldError:
    """`Unsupported value: V: supported values: "A", "B"`, in the order given."""
    names = ", ".join(rendered(name) for name in supported)
    text = _with_detail(f"Unsupported value: {rendered(value)}", f"supported values: {names}" if names else "")
    return FieldError(field, "FieldValueNotSupported", text)


def duplicate(field: str, value: object) -> FieldError:
    """`Duplicate value: V`."""
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {rendered(value)}")


def forbidden(field: str, detail: str) -> FieldError:
    """`Forbidden: DETAIL`; the value is not shown."""
    return FieldError(field, "FieldValueForbidden", _with_detail("Forbidden", detail))


def too_many(field: str, actual: int, maximum: int) -> FieldError:
    """`Too many: N: must have at most M items`."""
    return FieldError(field, "FieldValueTooMany", f"Too many: {actual}: must have at most {maximum} items")


def rendered(value: object) -> str:
    """`value` as it appears in a message: JSON without spaces; what JSON has no form for appears as its text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _with_detail(body: str, detail: str) -> str:
    return f"{body}: {detail}" if detail else body
