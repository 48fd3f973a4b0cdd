"""Decoding: from a parsed YAML or JSON document to an object of the model.

Invariant: nothing but DecodingError leaves `objects` and `decode`, whatever the document holds. Fields that the proxy
has no use for are ignored, except in a Service, where an unknown field is a mistake.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.endpoints import Endpoints
from proxy.model.field_errors import forbidden, required, wrong_type
from proxy.model.json_shape import ShapeError, json_shape
from proxy.model.kinds import VERSIONS, kind_errors
from proxy.model.node import Node
from proxy.model.pod import Pod
from proxy.model.problem import FieldError
from proxy.model.service import Service
from proxy.model.strict_fields import unknown_service_fields

Object = Service | EndpointSlice | Endpoints | Pod | Node

_TYPES: Mapping[tuple[str, str], type[Object]] = MappingProxyType(
    {(VERSIONS[target.__name__], target.__name__): target for target in (Service, EndpointSlice, Endpoints, Pod, Node)}
)
_DEEPEST_LIST = 4
_NO_NAME = required("metadata.name", "name or generateName is required")
_NEEDS_A_NAME = "each reading would make another object: give it a name as metadata.name"
_PATH_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_TYPE_NAMES = {
    "array": "a list",
    "bool": "true or false",
    "int": "an integer",
    "int | str": "an integer or a string",
    "object": "a map",
    "str": "a string",
}


class DecodingError(Exception):
    """A document that is not the object it claims to be.

    `subject` is like `Service default/myapp`, or as much of that as is known; `errors` is never empty.
    """

    def __init__(self, subject: str, errors: tuple[FieldError, ...]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.subject = subject
        self.errors = errors


def objects(document: object) -> Iterator[dict[str, object]]:
    """The single objects in `document`: itself, or the items of a `List`, `ServiceList` and so on.

    An item of a typed list inherits the kind and apiVersion it lacks. An empty document (None) has no objects.
    What is not an object is collected, and raised as one DecodingError after the last good item.
    """
    errors: list[FieldError] = []
    if document is not None:
        yield from _objects(document, "", _DEEPEST_LIST, errors)
    if errors:
        raise DecodingError("", tuple(errors))


def decode(document: Mapping[str, object]) -> Object | None:
    """The object in `document`, or None for a kind that the proxy has no use for.

    The namespace of a namespaced object defaults to "default"; no other defaults are filled in. Raises DecodingError.
    """
    target = _target(document)
    if target is None:
        return None
    try:
        shaped = json_shape(document)
    except ShapeError as error:
        raise DecodingError(_subject(document), (_not_an_object("document", str(error)),)) from error
    assert isinstance(shaped, dict), "the shape of a mapping is a dict"
    return _converted(shaped, target)


def _objects(document: object, path: str, depth: int, errors: list[FieldError]) -> Iterator[dict[str, object]]:
    if not isinstance(document, Mapping):
        errors.append(_not_an_object(path or "document", f"got {_name_of_type(document)}"))
        return
    kind = document.get("kind")
    if not isinstance(kind, str) or not kind.endswith("List") or (kind != "List" and "items" not in document):
        yield {str(name): member for name, member in document.items()}
        return
    items = document.get("items") or []
    items_path = f"{path}.items" if path else "items"
    if depth == 0 or not isinstance(items, list):
        detail = "lists are nested too deeply" if depth == 0 else "must be a list"
        errors.append(wrong_type(items_path, _name_of_type(items), detail))
        return
    for index, item in enumerate(items):
        inherited = _inheriting(item, kind.removesuffix("List"), document.get("apiVersion"))
        yield from _objects(inherited, f"{items_path}[{index}]", depth - 1, errors)


def _inheriting(item: object, kind: str, api_version: object) -> object:
    if not kind or not isinstance(item, Mapping):
        return item
    own = {name: member for name, member in item.items() if member is not None}
    return {"kind": kind, "apiVersion": api_version, **own}


def _target(document: Mapping[str, object]) -> type[Object] | None:
    """The type to decode into, None for another kind; raises DecodingError when the document does not say."""
    kind, api_version = document.get("kind"), document.get("apiVersion")
    errors = [
        wrong_type(field, value, "must be a string") if value else required(field)
        for field, value in (("apiVersion", api_version), ("kind", kind))
        if not isinstance(value, str) or not value
    ]
    if errors:
        raise DecodingError(_subject(document), tuple(errors))
    assert isinstance(kind, str)
    assert isinstance(api_version, str)
    if mistakes := kind_errors(kind, api_version):
        raise DecodingError(_subject(document), mistakes)
    return _TYPES.get((api_version, kind))


def _converted(document: dict[str, object], target: type[Object]) -> Object:
    metadata = document.setdefault("metadata", {})
    if isinstance(metadata, dict):
        metadata["namespace"] = "" if target is Node else metadata.get("namespace") or "default"
    errors = list(unknown_service_fields(document)) if target is Service else []
    if isinstance(metadata, dict) and not metadata.get("name"):
        errors.append(forbidden("metadata.generateName", _NEEDS_A_NAME) if metadata.get("generateName") else _NO_NAME)
    try:
        converted = msgspec.convert(document, target)
    except msgspec.ValidationError as error:
        errors.append(_type_error(document, str(error)))
    if errors:
        raise DecodingError(_subject(document), tuple(errors))
    return converted


def _type_error(document: dict[str, object], message: str) -> FieldError:
    """msgspec's "Expected `int`, got `str` - at `$.spec.ports[0].port`", said about the field and its value."""
    problem, _, location = message.partition(" - at `$")
    field, value = _located(document, location.removesuffix("`"))
    expected = problem.removeprefix("Expected `").partition("`")[0].removesuffix(" | null")
    detail = f"must be {_TYPE_NAMES[expected]}" if expected in _TYPE_NAMES else problem.lower()
    if expected == "str" and isinstance(value, (bool, int, float)):
        detail += " (put it in quotes)"
    return wrong_type(field, value, detail)


def _located(document: object, location: str) -> tuple[str, object]:
    """The field path and the value that msgspec's `location` names.

    `[...]` is an entry of a mapping of strings that msgspec does not name: the first that is not a string.
    """
    field, value = "", document
    for step in _PATH_STEP.finditer(location):
        name, index = step.groups()
        if name is not None and isinstance(value, dict):
            field, value = f"{field}.{name}" if field else name, value.get(name)
        elif index == "..." and isinstance(value, dict):
            key = next((key for key, entry in value.items() if not isinstance(entry, str)), "...")
            field, value = f"{field}[{key}]", value.get(key)
        elif index is not None and index.isdecimal() and isinstance(value, list):
            field, value = f"{field}[{index}]", value[int(index)]
    return field or "document", value


def _subject(document: Mapping[str, object]) -> str:
    metadata = document.get("metadata")
    known = metadata if isinstance(metadata, Mapping) else {}
    words = [word for word in (known.get("namespace"), known.get("name")) if isinstance(word, str) and word]
    kind = document.get("kind")
    return " ".join(part for part in (kind if isinstance(kind, str) else "", "/".join(words)) if part)


def _not_an_object(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueTypeInvalid", f"must be an object with apiVersion and kind: {detail}")


def _name_of_type(value: object) -> str:
    return {"NoneType": "null", "str": "a string", "list": "a list"}.get(type(value).__name__, type(value).__name__)
