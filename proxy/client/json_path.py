"""kubectl's JSONPath templates: text with `{...}` in it, filled in from data.

Source: k8s.io/client-go/util/jsonpath, whose commonly used part this is: fields, indexes, slices, wildcards, filters
that compare, quoted text, and `range`. Pure. Invariant: whatever the template, it is read once, and a mistake in it is
a ValueError that quotes the place.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

_PART = re.compile(r"\{((?:[^{}\"']|\"[^\"]*\"|'[^']*')*)\}|([^{}]+)")
_STEP = re.compile(
    r"\.(?P<field>(?:[^.\[\]\\\s]|\\.)+)"
    r"|\[\?\(@(?P<left>[^=!<>\s)]*)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>[^)]+))?\)\]"
    r"|\[(?P<quote>['\"])(?P<key>[^'\"]*)(?P=quote)\]"
    r"|\[(?P<index>-?\d+)\]|\[(?P<from>-?\d*):(?P<to>-?\d*)\]|(?P<every>\[\*\])"
)
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}

Step = Callable[[Any], Iterable[Any]]
Path = tuple[Step, ...]


class Text(NamedTuple):
    """What stands there as it is."""

    text: str


class Range(NamedTuple):
    """`parts` again for each thing at `path`."""

    path: Path
    parts: tuple[Any, ...]


class Template(NamedTuple):
    """A template that was read; `filled` is its text for one thing."""

    parts: tuple[Any, ...]

    def filled(self, root: Any) -> str:
        """The text. Parts that lead to nothing give nothing."""
        return "".join(_filled(self.parts, root))


def parse_template(text: str) -> Template:
    """A template such as `{range .items[*]}{.name}{"\\n"}{end}`. Raises ValueError."""
    stack: list[tuple[Path, list[Any]]] = [((), [])]
    place = 0
    for match in _PART.finditer(text):
        if match.start() != place:
            break
        place = match.end()
        inside, outside = match[1], match[2]
        if outside is not None:
            stack[-1][1].append(Text(outside))
        elif inside.startswith("range "):
            stack.append((parse_path(inside.removeprefix("range ").strip()), []))
        elif inside.strip() == "end":
            if len(stack) == 1:
                raise ValueError("{end} stands without a {range}")
            path, parts = stack.pop()
            stack[-1][1].append(Range(path, tuple(parts)))
        else:
            stack[-1][1].append(_expression(inside.strip()))
    if place != len(text):
        raise ValueError(f'"{text[place:]}" is not understood')
    if len(stack) > 1:
        raise ValueError("{range} has no {end}")
    return Template(tuple(stack[0][1]))


def parse_path(text: str) -> Path:
    """A path such as `.items[*].metadata.name`; `$` or `@` may stand in front. Raises ValueError."""
    rest = text.lstrip("$@")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    steps: list[Step] = []
    while rest and rest != ".":
        match = _STEP.match(rest)
        if match is None:
            raise ValueError(f'"{rest}" in "{text}" is not understood')
        steps.append(_step(match))
        rest = rest[match.end() :]
    return tuple(steps)


def found(path: Path, root: Any) -> list[Any]:
    """Everything that the path leads to."""
    things = [root]
    for step in path:
        things = [each for thing in things for each in step(thing)]
    return things


def shown(thing: Any) -> str:
    """A thing as kubectl prints it: text as it is, everything else as JSON."""
    return thing if isinstance(thing, str) else msgspec.json.encode(thing).decode()


def _filled(parts: Iterable[Any], root: Any) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Text):
            yield part.text
        elif isinstance(part, Range):
            for thing in found(part.path, root):
                yield from _filled(part.parts, thing)
        else:
            yield " ".join(map(shown, found(part, root)))


def _expression(text: str) -> Text | Path:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return Text(re.sub(r"\\[nt\\]", lambda match: _ESCAPES[match[0]], text[1:-1]))
    return parse_path(text)


def _step(match: re.Match[str]) -> Step:
    if (name := match["field"]) is not None:
        return _all if name == "*" else _field(re.sub(r"\\(.)", r"\1", name))
    if match["key"] is not None:
        return _field(match["key"])
    if match["index"] is not None:
        return _slice(slice(int(match["index"]), int(match["index"]) + 1 or None))
    if match["every"] is not None:
        return _all
    if match["left"] is not None:
        return _filter(parse_path(match["left"]), match["operator"] or "", (match["right"] or "").strip())
    return _slice(slice(*(int(text) if text else None for text in (match["from"], match["to"]))))


def _field(name: str) -> Step:
    return lambda thing: (thing[name],) if isinstance(thing, dict) and name in thing else ()


def _slice(part: slice) -> Step:
    return lambda thing: thing[part] if isinstance(thing, list) else ()


def _all(thing: Any) -> Iterable[Any]:
    return thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ()


def _filter(path: Path, sign: str, right: str) -> Step:
    wanted: Any = right[1:-1] if right[:1] in ("'", '"') else _value(right)

    def kept(thing: Any) -> bool:
        return any(_compares(left, sign, wanted) for left in found(path, thing))

    return lambda things: [each for each in _all(things) if kept(each)]


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return text


def _compares(left: Any, sign: str, right: Any) -> bool:
    if sign in ("", "==", "!="):
        return sign == "" or (left == right) == (sign == "==")
    if not isinstance(left, type(right)) and not (isinstance(left, int | float) and isinstance(right, int | float)):
        return False
    return bool(_ORDERS[sign](left, right))


def custom_columns(text: str) -> Sequence[tuple[str, Path]]:
    """`NAME:.metadata.name,TYPE:.spec.type`: headers and paths. Raises ValueError."""
    columns = []
    for part in text.split(","):
        header, colon, path = part.partition(":")
        if not header or not colon or not path:
            raise ValueError(f'"{part}" must be HEADER:PATH, for example NAME:.service.metadata.name')
        columns.append((header, parse_path(path)))
    return columns
