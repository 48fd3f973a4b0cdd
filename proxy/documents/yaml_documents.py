"""YAML documents: splitting a file where its documents begin, and loading one of them safely.

Invariant: nothing but DocumentSyntaxError leaves `load_yaml`, whatever the text holds, and its line and column count
from the beginning of the file. A document is no deeper than `_DEEPEST`, and no larger with its aliases written out than
`_MOST_NODES` beyond what the text has.
"""

import itertools
import re
from collections.abc import Hashable, Iterator
from typing import Any

import yaml

from proxy.documents.syntax_error import DocumentSyntaxError, at

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML without libyaml: slower, and otherwise the same
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_DOCUMENT_START = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_CONTENT = re.compile(r"^[ \t]*[^\s#]", re.MULTILINE)
_DEEPEST = 100
"""Levels for which both libyaml's recursive composer and the interpreter have the stack."""
_MOST_NODES = 100_000
_CHARACTERS = 64
"""So many count as a value."""
_LEADING = re.compile(r"^[ \t\-?:]*", re.MULTILINE)
_TOO_DEEP = "nested too deeply"
_TOO_DEEP_FOR_LIBYAML = "exceeded maximum nesting depth"
"""What newer versions of libyaml say by themselves of flow collections, before their first event."""


def split_documents(text: str) -> list[tuple[int, str]]:
    """(first line, text) of each document, lines counted from 0.

    A line that begins with `---` always begins a document, even inside a block scalar (YAML 1.2, 9.1.2), so the text
    can be cut there. A file with directives (`%YAML`) stays whole: they reach across the cut.
    """
    if _DIRECTIVE.search(text):
        return [(0, text)]
    starts = [match.start() for match in _DOCUMENT_START.finditer(text)]
    first = starts[0] if starts else len(text)
    if _CONTENT.search(text, 0, first):
        starts.insert(0, 0)
    documents, line, counted = [], 0, 0
    for start, end in itertools.pairwise([*starts, len(text)]):
        line += text.count("\n", counted, start)
        counted = start
        documents.append((line, text[start:end]))
    return documents


def load_yaml(text: str, first_line: int = 0) -> list[object]:
    """Every document in `text`, which begins at `first_line` of its file. Raises DocumentSyntaxError."""
    try:
        _refuse_deep_nesting(text, first_line)
        loader = _Loader(text)
        try:
            return list(_each_document(loader, has_aliases="&" in text))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _positioned(error, first_line) from error
    except yaml.reader.ReaderError as error:
        raise DocumentSyntaxError(f"{error.reason}: character #x{error.character:04x}") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        # PyYAML's constructors check little: `!!int ""` and `!!float ""` are an IndexError.
        raise DocumentSyntaxError(f"a value does not fit its type: {error}") from error


class _Loader(_SafeLoader):
    """The safe loader, less what Kubernetes does not read either, and strict about keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, yaml.MappingNode):  # an explicit tag such as !!map brings other nodes here
            _refuse_duplicate_keys(node)
        return super().construct_mapping(node, deep)


def _resolvers_of_kubernetes() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """PyYAML's implicit types without timestamps, base 60 numbers and `=`, which Kubernetes reads as strings."""
    kept: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag.rpartition(":")[2] not in {"timestamp", "value", "int", "float"}
        ]
    return kept


_Loader.yaml_implicit_resolvers = _resolvers_of_kubernetes()
_Loader.add_implicit_resolver(  # type: ignore[no-untyped-call, unused-ignore]
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(  # type: ignore[no-untyped-call, unused-ignore]
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|\.(?:nan|NaN)$"
    ),
    list("-+0123456789."),
)


def _as_text(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def _each_document(loader: Any, has_aliases: bool) -> Any:
    """Construct each document at once and in depth, so that an alias to its own parent is an error and not a loop."""
    while loader.check_node():
        node = loader.get_node()
        if has_aliases:
            _refuse_much_from_little(node)
        yield loader.construct_object(node, deep=True)


def _refuse_much_from_little(root: yaml.Node) -> None:
    """Count the values with every alias written out, as all that reads the result will meet them."""
    own: dict[int, int] = {}
    written_out = _size(root, {}, own)
    if written_out - sum(own.values()) > _MOST_NODES:
        raise yaml.MarkedYAMLError(
            problem=f"aliases stand for more than {_MOST_NODES:,} values", problem_mark=root.start_mark
        )


def _size(node: yaml.Node, sizes: dict[int, int], own: dict[int, int]) -> int:
    """The values in a node, which is no deeper than `_DEEPEST`; `own` has what each adds by itself. A node that holds
    itself counts as one value here, and is refused when it is constructed."""
    if id(node) not in sizes:
        cost = 1 + len(node.value) // _CHARACTERS if isinstance(node, yaml.ScalarNode) else 1
        sizes[id(node)] = own[id(node)] = cost
        sizes[id(node)] = cost + sum(_size(child, sizes, own) for child in _children(node))
    return sizes[id(node)]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return itertools.chain.from_iterable(node.value)
    return iter(node.value) if isinstance(node, yaml.SequenceNode) else iter(())


def _refuse_duplicate_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            continue
        if key.value in seen:
            raise yaml.MarkedYAMLError(problem=f'key "{key.value}" is already set', problem_mark=key.start_mark)
        seen.add(key.value)


def _refuse_deep_nesting(text: str, first_line: int) -> None:
    """Keep the recursive composer from running out of stack, which ends the process rather than raise.

    A level of nesting costs a bracket, or half a column at the beginning of a line (a list may stand at the column of
    its key). Only where those allow for many levels are they counted.
    """
    indented = max((match.end() - match.start() for match in _LEADING.finditer(text)), default=0)
    if text.count("[") + text.count("{") + 2 * (indented + 1) < _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                line = event.start_mark.line if event.start_mark else 0
                raise at(first_line + line + 1, 1, _TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _positioned(error: yaml.MarkedYAMLError, first_line: int) -> DocumentSyntaxError:
    mark = error.problem_mark or error.context_mark
    message = error.problem or error.context or "not valid YAML"
    context = f" ({error.context})" if error.context and error.problem else ""
    line, column = (mark.line, mark.column) if mark else (0, 0)
    if message == _TOO_DEEP_FOR_LIBYAML:
        return at(first_line + line + 1, 1, _TOO_DEEP)
    return at(first_line + line + 1, column + 1, message + context)
