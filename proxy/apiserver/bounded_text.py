"""Bounded text: JSON and YAML that clients send, as values.

Invariant: the work is in proportion to limits that are checked before it is done, or while it is; what is returned is
nested no deeper than MOST_LEVELS, its texts can be encoded as UTF-8, and its integers have 64 bits.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from proxy.apiserver.status import StatusError, failure
from proxy.documents.document_limits import DocumentLimits
from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml
from proxy.model.json_shape import ShapeError, json_shape

MOST_VALUES = 50_000
"""Of one body. The largest object of a real cluster, a slice of 1,000 endpoints, has some 20,000."""
MOST_LEVELS = 64
MOST_YAML_BYTES = 1024 * 1024
_MOST_DIGITS = 4_000
_MOST_REPEATED_VALUES = 10_000
_YAML_LIMITS = DocumentLimits(MOST_LEVELS, MOST_VALUES, _MOST_REPEATED_VALUES)
_HALF_A_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class TextError(ValueError):
    """Text that is no JSON or YAML, or that no object can hold."""


class Decoded(NamedTuple):
    """`duplicates` are the paths of members that are set more than once, of which the last counts."""

    value: Any
    duplicates: tuple[str, ...] = ()


def json_value(body: bytes) -> Decoded:
    """The one JSON value in `body`; bytes that are no UTF-8 become U+FFFD. Raises TextError, StatusError (413)."""
    # Every value but the first has a comma or an opening bracket before it.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES:
        raise too_many_values()
    repeated = _Repeated()
    decoder = json.JSONDecoder(object_pairs_hook=repeated.members, parse_int=_integer, parse_constant=_refused)
    try:
        value = decoder.decode(body.decode(errors="replace"))
        if _HALF_A_PAIR.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise TextError("a \\u escape is half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:
        raise TextError("exceeded max depth" if isinstance(error, RecursionError) else str(error)) from error
    require_few_levels(value)
    return Decoded(value, tuple(repeated.paths(value)))


def yaml_value(body: bytes) -> Decoded:
    """The one YAML document in `body`, in JSON shape. Raises TextError, StatusError (413)."""
    if body.lstrip().startswith(b"{"):
        try:
            return json_value(body)
        except TextError:
            # A flow mapping of YAML, maybe.
            pass
    if len(body) > MOST_YAML_BYTES:
        raise failure(413, "RequestEntityTooLarge", f"Request entity too large: limit of YAML is {MOST_YAML_BYTES}")
    try:
        documents = load_yaml(body.decode(), limits=_YAML_LIMITS)
        if len(documents) != 1:
            raise TextError(f"one document is expected, not {len(documents)}")
        return Decoded(json_shape(documents[0]))
    except (DocumentSyntaxError, ShapeError, UnicodeDecodeError) as error:
        raise TextError(str(error)) from error


def require_few_levels(value: object) -> None:
    """Raises TextError for lists and dicts nested deeper than MOST_LEVELS, which handling would run out of stack."""
    level, depth = [value], 0
    while level:
        level = [part for each in level if isinstance(each, dict | list) for part in _parts(each)]
        depth += 1
        if depth > MOST_LEVELS + 1:
            raise TextError("exceeded max depth")


def too_many_values() -> StatusError:
    """413: the body may be short, and says too much."""
    return failure(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MOST_VALUES} values")


class _Repeated:
    """Finds the members that JSON objects set more than once."""

    def __init__(self) -> None:
        self._found: list[tuple[dict[str, Any], str]] = []

    def members(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    self._found.append((members, name))
                seen.add(name)
        return members

    def paths(self, value: object) -> Iterator[str]:
        if self._found:
            places = {id(each): path for path, each in _objects(value, "")}
            yield from (f"{places[id(each)]}{name}" for each, name in self._found if id(each) in places)


def _objects(value: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in `value`, and the path of its members up to their names."""
    if isinstance(value, dict):
        yield f"{path}." if path else "", value
        for name, member in value.items():
            yield from _objects(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _objects(item, f"{path}[{index}]")


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _integer(text: str) -> int | float:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    number = int(text)
    if -(2**63) <= number < 2**63:
        return number
    # As Go reads a number too large for its integers; no field of an object takes one.
    return float(text) if len(text) < 300 else math.inf


def _refused(name: str) -> object:
    """Python reads NaN and Infinity, which JSON has not."""
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")
