"""JSON Patch (RFC 6902): a list of operations on places in a document.

Own code rather than a library's, since copies are counted before they are made and a refusal names its place.
Invariant: all operations apply or none does; the document given is never changed, and what is copied has at most
MOST_COPIED_BYTES in all.
"""

import copy
import re
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from proxy.apiserver.bounded_text import TextError, require_few_levels
from proxy.apiserver.status import Cause, Details, StatusError, bad_request, failure

MOST_COPIED_BYTES = 3 * 1024 * 1024
"""Of JSON, by all copy operations of a patch together, as in the API server."""
_MOST_OPERATIONS = 10_000
_INDEX = re.compile(r"0|-?[1-9][0-9]{0,8}")


def apply_json_patch(document: object, patch: object) -> Any:
    """`document` after every operation of `patch`.

    Raises StatusError: 400 for what is no JSON Patch, 413 for too many operations, 422 for one that does not apply.
    """
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    if len(patch) > _MOST_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(patch)}"
        raise failure(413, "RequestEntityTooLarge", message)
    patched, copied = copy.deepcopy(document), 0
    try:
        for operation in patch:
            copied += _copied_bytes(patched, operation)
            if copied > MOST_COPIED_BYTES:
                raise _too_much_copied(copied)
            patched = _applied(patched, operation)
        require_few_levels(patched)
    except (RecursionError, TextError) as error:
        raise bad_request("error decoding patch: exceeded max depth") from error
    return patched


def same_json(one: object, other: object) -> bool:
    """Equality of JSON values (RFC 6902, 4.6): numbers by value, and true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def json_identity(value: Any) -> Hashable:
    """The same for two values exactly where `same_json` is."""
    if isinstance(value, dict):
        return "object", frozenset((name, json_identity(member)) for name, member in value.items())
    if isinstance(value, list):
        return "array", tuple(map(json_identity, value))
    return isinstance(value, bool), value


def _copied_bytes(document: Any, operation: Mapping[str, Any]) -> int:
    """How much JSON `operation` will copy."""
    if operation.get("op") != "copy":
        return 0
    return len(msgspec.json.encode(_found(document, _pointer(operation, "from"), "copy")))


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
    parent, last = _found(document, steps[:-1], "replace"), steps[-1]
    if isinstance(parent, dict):
        # One that is missing is added, as in the API server.
        parent[last] = value
    else:
        _found(document, steps, "replace")
        parent[int(last)] = value
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
    # What is missing is null, as in the API server.
    value = operation.get("value")
    found = _found(document, steps, "test") if value is not None or _is_there(document, steps) else None
    if not same_json(found, value):
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
        elif isinstance(document, list) and _INDEX.fullmatch(step) and -len(document) <= int(step) < len(document):
            document = document[int(step)]
        else:
            raise _does_not_apply(name, steps, "missing path")
    return document


def _is_there(document: Any, steps: list[str]) -> bool:
    parent = _found(document, steps[:-1], "test")
    return not steps or not isinstance(parent, dict) or steps[-1] in parent


def _inserted(document: Any, steps: list[str], value: Any, name: str) -> Any:
    if not steps:
        return value
    parent, last = _found(document, steps[:-1], name), steps[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list) and last == "-":
        parent.append(value)
    elif isinstance(parent, list) and _INDEX.fullmatch(last) and -len(parent) - 1 <= int(last) <= len(parent):
        # A negative index counts from behind the end: -1 appends.
        parent.insert(int(last) if int(last) >= 0 else len(parent) + 1 + int(last), value)
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


def _too_much_copied(size: int) -> StatusError:
    detail = f"the accumulated size increase of copy is {size}, exceeding the limit {MOST_COPIED_BYTES}"
    cause = Cause("UnexpectedServerResponse", f"Unable to complete the copy, {detail}", "patch")
    return _rejected(cause)


def _does_not_apply(name: str, steps: list[str], reason: str) -> StatusError:
    """422. The API server keeps the reason to itself; here it is a cause, which kubectl shows."""
    place = "".join(f"/{step}" for step in steps)
    cause = Cause("UnexpectedServerResponse", f'{name} operation does not apply to "{place}": {reason}', "patch")
    return _rejected(cause)


def _rejected(cause: Cause) -> StatusError:
    message = "the server rejected our request due to an error in our request"
    return failure(422, "Invalid", message, Details(causes=(cause,)))
