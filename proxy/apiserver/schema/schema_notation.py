"""The notation in which `api_types/*.yaml` describe the API's types, and its reader.

A file holds types, a type its fields, and a field is one line of text,

    [NUMBER] TYPE [required] [explicit] [default=V] [enum=A,B] [merge[=KEY]] [retainKeys] [keys=A,B] [set] [atomic]
    [| DESCRIPTION]

where NUMBER is the field's in protobuf, as in the generated.proto of k8s.io/api, or two with a dot for one in a message
that JSON does not have, and TYPE is a scalar, the name of another type, `list of TYPE` or `map of TYPE`. The field `_`
describes the type itself. Invariant: a word that is not in the notation, or a type that is not there, is an error,
never skipped.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
import yaml

from proxy.apiserver.schema.schema_types import Field, ListOf, MapOf, Record, Scalar, Type

SCALARS = ("string", "integer", "boolean", "number", "Time", "MicroTime", "Quantity", "IntOrString", "any")
_FLAGS = ("required", "explicit", "retainKeys", "set", "atomic", "merge")
_VALUED = ("default", "enum", "merge", "keys")
_NUMBER = re.compile(r"\d+(\.\d+)?")


class NotationError(ValueError):
    """A line that is not in the notation."""


class _Line(msgspec.Struct, frozen=True):
    """A field's line, split up: `attributes` maps flags to the empty string."""

    type: str
    attributes: Mapping[str, str]
    description: str
    number: tuple[int, ...] = ()


def read_types(texts: Mapping[str, str]) -> dict[tuple[str, str], Record]:
    """Every type by (package, name). `texts` are YAML files by the package that their types belong to, followed by
    `/` and anything. Raises NotationError."""
    lines = {}
    for source, text in texts.items():
        for name, fields in yaml.safe_load(text).items():
            lines[source.partition("/")[0], name] = {field: _line(words) for field, words in fields.items()}
    return _Reader(lines).read()


class _Reader:
    """Builds each type after those that it refers to."""

    def __init__(self, lines: Mapping[tuple[str, str], Mapping[str, _Line]]) -> None:
        self._lines = lines
        self._records: dict[tuple[str, str], Record] = {}

    def read(self) -> dict[tuple[str, str], Record]:
        for package, name in self._lines:
            self._record(package, name)
        return self._records

    def _record(self, package: str, name: str) -> Record:
        if (package, name) not in self._records:
            lines = self._lines[package, name]
            about = lines.get("_", _Line("", {}, ""))
            fields = {field: self._field(package, line) for field, line in lines.items() if field != "_"}
            self._records[package, name] = Record(
                package,
                name,
                MappingProxyType(fields),
                about.description,
                "atomic" in about.attributes,
                MappingProxyType(_names_by_number(lines)),
            )
        return self._records[package, name]

    def _field(self, package: str, line: _Line) -> Field:
        return Field(
            type=self._type(package, line.type, line.attributes),
            description=line.description,
            is_required="required" in line.attributes,
            default=line.attributes.get("default"),
            enum=_names(line.attributes, "enum"),
            is_explicit="explicit" in line.attributes,
        )

    def _type(self, package: str, text: str, attributes: Mapping[str, str]) -> Type:
        if text.startswith("list of "):
            return ListOf(
                items=self._type(package, text.removeprefix("list of "), {}),
                merges="merge" in attributes,
                merge_key=attributes.get("merge", ""),
                retains_keys="retainKeys" in attributes,
                keys=_names(attributes, "keys"),
                is_set="set" in attributes,
            )
        if text.startswith("map of "):
            return MapOf(self._type(package, text.removeprefix("map of "), {}), "atomic" in attributes)
        return Scalar(text) if text in SCALARS else self._reference(package, text)

    def _reference(self, package: str, name: str) -> Record:
        """The type of that name in the same package, else in any other."""
        packages = [package, *sorted({each for each, _ in self._lines})]
        found = next((each for each in packages if (each, name) in self._lines), None)
        if found is None:
            raise NotationError(f"no type {name}")
        return self._record(found, name)


def _line(text: str) -> _Line:
    head, _, description = text.partition("|")
    words = head.split()
    number = words.pop(0) if words and _NUMBER.fullmatch(words[0]) else ""
    length = 0
    while words[length : length + 2] in (["list", "of"], ["map", "of"]):
        length += 2
    is_about_the_type = not words or words == ["atomic"]
    length = 0 if is_about_the_type else length + 1
    attributes = dict(_attribute(word) for word in words[length:])
    numbers = tuple(int(part) for part in number.split(".") if part)
    return _Line(" ".join(words[:length]), attributes, " ".join(description.split()), numbers)


def _attribute(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if name not in (_VALUED if equals else _FLAGS):
        raise NotationError(f"not in the notation: {word}")
    return name, value


def _names(attributes: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(attributes[name].split(",")) if name in attributes else ()


def _names_by_number(lines: Mapping[str, _Line]) -> dict[tuple[int, ...], str]:
    names: dict[tuple[int, ...], str] = {}
    numbered = [(line.number, name) for name, line in lines.items() if line.number]
    for number, name in [*numbered, *((number[:-1], "") for number, _ in numbered if len(number) > 1)]:
        if names.setdefault(number, name) != name:
            raise NotationError(f"{name or 'a message'} has the same number as {names[number]}")
    return names
