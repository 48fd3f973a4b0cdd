"""JSON shape: what a YAML or JSON parser yields, made into what the Kubernetes API would have read.

Invariant: the result holds only str, int, float, bool, list and dict with str keys, and None inside lists. It is a tree
of bounded depth and size. Its strings can be encoded as UTF-8 and its ints in 64 bits.
"""

import base64
import itertools
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

_STRING_MAPS = ("labels", "annotations", "selector")
_DEEPEST = 64
_MOST_NODES = 1_000_000


class ShapeError(Exception):
    """The value has no JSON form: it contains itself, or is too deep or too large."""


def json_shape(value: object) -> object:
    """`value` in JSON shape.

    Null members of a mapping are left out, as absent and null mean the same to the API; in labels, annotations and
    selectors a null is the empty string, as it is there. Timestamps, which YAML parses, become RFC 3339 text.
    Raises ShapeError for a value that YAML anchors made recursive or blew up.
    """
    return _shaped(value, _DEEPEST, itertools.count())


def _shaped(value: object, depth: int, visited: Iterator[int]) -> object:
    if depth == 0:
        raise ShapeError(f"nested more than {_DEEPEST} levels deep")
    if next(visited) >= _MOST_NODES:
        raise ShapeError(f"more than {_MOST_NODES} values")
    if isinstance(value, Mapping):
        return _shaped_members(value, depth - 1, visited)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_shaped(item, depth - 1, visited) for item in value]
    return _shaped_scalar(value)


def _shaped_members(members: Mapping[object, object], depth: int, visited: Iterator[int]) -> dict[str, object]:
    shaped: dict[str, object] = {}
    for key, member in members.items():
        name = _key(key)
        if name in _STRING_MAPS and isinstance(member, Mapping):
            member = {key: "" if text is None else text for key, text in member.items()}
        if member is not None:
            shaped[name] = _shaped(member, depth, visited)
    return shaped


def _shaped_scalar(value: object) -> object:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else _as_float(value)
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    raise ShapeError(f"a {type(value).__name__} has no JSON form")


def _as_float(value: int) -> float:
    # As Go reads a number too large for its integers; no field of an object takes one.
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _key(key: object) -> str:
    # YAML reads `true:` and `80:` as keys of other types; the API takes them by their JSON text.
    if isinstance(key, bool):
        return "true" if key else "false"
    return _encodable(str(key))


def _encodable(text: str) -> str:
    # JSON escapes can spell half a surrogate pair; Go reads it as U+FFFD.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
