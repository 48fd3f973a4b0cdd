"""How the API server words what is wrong with a patch. Pure."""

import json
from typing import Any

from proxy.apiserver.status import Cause, Details, StatusError, failure
from proxy.model.field_errors import invalid


def refused_patch(patch: object, reason: str, *, is_strategic: bool) -> StatusError:
    """422: the patch leaves an object that its kind cannot be."""
    text = go_text(patch) if is_strategic else json.dumps(patch, ensure_ascii=False, separators=(",", ":"))
    error = invalid("patch", text, reason)
    cause = Cause(error.reason, error.text, error.field)
    return failure(422, "Invalid", f' "" is invalid: {error}', Details(causes=(cause,)))


def missing_merge_key(item: object, key: str) -> StatusError:
    """500, as the API server has it."""
    return failure(500, "", f"map: {go_text(item)} does not contain declared merge key: {key}")


def untyped_apply(subject: str, reason: str) -> StatusError:
    """500, as the API server has it: a configuration that is none of its kind. `subject` is
    `NAMESPACE/NAME; APIVERSION, Kind=KIND`."""
    return failure(500, "", f"failed to create typed patch object ({subject}): {reason}")


def go_text(value: Any) -> str:
    """A JSON value as Go's %v prints it: `map[port:80]`, `[a b]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{go_text(value[name])}' for name in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "<nil>" if value is None else str(value)
