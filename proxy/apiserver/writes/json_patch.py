"""JSON Patch (RFC 6902): a list of operations on places in a document.

Imports this room's Status. Invariant: all operations apply or none does; the document given is never changed.
"""

import copy
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from proxy.apiserver.status import Cause, Details, StatusError, bad_request, failure

_MOST_OPERATIONS = 10_000
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def apply_json_patch(document: object, patch: object) -> Any:
    """`document` after every operation of `patch`.

    Raises StatusError: 400 for what is no JSON Patch, 413 for too many operations, 422 for one that does not apply.
    """
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    if len(patch) > _MOST_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(patch)}"
        raise failure(413, "RequestEntityTooLarge", message)
    patched = copy.deepcopy(document)
    for operation in patch:
        patched = _applied(patched, operation)
    return patched


def same_json(one: object, other: object) -> bool:
    """Equality of JSON values (RFC 6902, 4.6): numbers by value, and true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _applied(document: Any, operation: Mapping[str, Any]) -> Any:
    name = operation.get("op")
    if not isinstance(name, str) or name not in _OPERATIONS:
        raise bad_request(f"error decoding patch: Unexpected kind: {name}")
    return _OPERATIONS[name](document, operation)


def _add(document: Any, operation: Mapping[str, Any]) -> Any:
    return _inserted(document, _pointer(operation, "path"), copy.deepcopy(_value(operation)), "add")


def _remove(document: Any, operation: Mapping[str, Any]) -> Any:
    return _removed(document, _pointer(operation, "path"), "remove")


def _replace(document: Any, operation: Mapping[str, Any]) -> Any:
    steps, value = _pointer(operation, "path"), copy.deepcopy(_value(operation))
    if not steps:
        return value
    _found(document, steps, "replace")
    parent, last = _found(document, steps[:-1], "replace"), steps[-1]
    parent[int(last) if isinstance(parent, list) else last] = value
    return document


def _move(document: Any, operation: Mapping[str, Any]) -> Any:
    source, target = _pointer(operation, "from"), _pointer(operation, "path")
    value = _found(document, source, "move")
    if target[: len(source)] == source:
        if target == source:
            return document
        raise _does_not_apply("move", target, "a value cannot move into itself")
    return _inserted(_removed(document, source, "move"), target, value, "move")


def _copy(document: Any, operation: Mapping[str, Any]) -> Any:
    value = copy.deepcopy(_found(document, _pointer(operation, "from"), "copy"))
    return _inserted(document, _pointer(operation, "path"), value, "copy")


def _test(document: Any, operation: Mapping[str, Any]) -> Any:
    steps = _pointer(operation, "path")
    if not same_json(_found(document, steps, "test"), _value(operation)):
        raise _does_not_apply("test", steps, "test failed")
    return document


_OPERATIONS: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = MappingProxyType(
    {"add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test}
)


def _pointer(operation: Mapping[str, Any], member: str) -> list[str]:
    """The steps of a JSON Pointer (RFC 6901)."""
    text = operation.get(member)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise bad_request(f'error decoding patch: operation without a JSON pointer in "{member}"')
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise bad_request('error decoding patch: operation without "value"')
    return operation["value"]


def _found(document: Any, steps: list[str], name: str) -> Any:
    for step in steps:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and _INDEX.fullmatch(step) and int(step) < len(document):
            document = document[int(step)]
        else:
            raise _does_not_apply(name, steps, "missing path")
    return document


def _inserted(document: Any, steps: list[str], value: Any, name: str) -> Any:
    if not steps:
        return value
    parent, last = _found(document, steps[:-1], name), steps[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list) and last == "-":
        parent.append(value)
    elif isinstance(parent, list) and _INDEX.fullmatch(last) and int(last) <= len(parent):
        parent.insert(int(last), value)
    else:
        raise _does_not_apply(name, steps, "missing path")
    return document


def _removed(document: Any, steps: list[str], name: str) -> Any:
    _found(document, steps, name)
    if not steps:
        return None
    parent, last = _found(document, steps[:-1], name), steps[-1]
    del parent[int(last) if isinstance(parent, list) else last]
    return document


def _does_not_apply(name: str, steps: list[str], reason: str) -> StatusError:
    """422. The API server keeps the reason to itself; here it is a cause, which kubectl shows."""
    place = "".join(f"/{step}" for step in steps)
    cause = Cause("UnexpectedServerResponse", f'{name} operation does not apply to "{place}": {reason}', "patch")
    message = "the server rejected our request due to an error in our request"
    return failure(422, "Invalid", message, Details(causes=(cause,)))
