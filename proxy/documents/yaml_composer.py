"""The YAML composer: the events of a parser to values of JSON, as kubectl makes them.

What kubectl reads is what is made here: an anchor may be set again and then means the newer value, a merge key counts
where it stands, a tag on a list or mapping means nothing. Two differences are meant: a key that is set twice is a
mistake, and limits hold. Invariant: work and result are in proportion to the limits; nothing recurses.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from proxy.documents.document_limits import (
    CHARACTERS_A_VALUE,
    DocumentLimits,
    too_deep,
    too_many_repeated,
    too_many_values,
)
from proxy.documents.syntax_error import DocumentSyntaxError, at
from proxy.documents.yaml_scalars import STANDARD_TAG, ScalarError, json_value, key_text, plain_scalar, tagged_scalar

_MERGE = "<<"
_MERGE_TAG = f"{STANDARD_TAG}merge"
_FEW_ALIASES = 100
_FEW_NODES = 1000
_SMALL_DOCUMENT = 400_000
_LARGE_DOCUMENT = 4_000_000
_SHARE_IN_SMALL = 0.99
_SHARE_IN_LARGE = 0.10


class _Anchored(NamedTuple):
    """A value with a name, and how many nodes and values it counts wherever it is used."""

    value: object
    nodes: int
    values: int


class _Merge:
    """The key of a mapping that is to be merged."""


_NO_KEY = None
_MERGED = _Merge()


class _Open:
    """A list or mapping whose end was not reached yet."""

    __slots__ = ("anchor", "container", "key", "merged", "nodes_before", "values_before")

    def __init__(self, container: Any, anchor: str | None, nodes_before: int, values_before: int) -> None:
        self.container = container
        self.anchor = anchor
        self.nodes_before = nodes_before
        self.values_before = values_before
        self.key: str | _Merge | None = _NO_KEY
        self.merged: set[str] | None = None
        """The keys that only a merge has set, once there was one."""

    @property
    def awaits_a_key(self) -> bool:
        return self.key is _NO_KEY and type(self.container) is dict


class Composer:
    """Composes the documents of one text, which begins at `first_line` of its file."""

    def __init__(self, parser: Any, first_line: int, limits: DocumentLimits) -> None:
        self._parser = parser
        self._first_line = first_line
        self._limits = limits
        self._anchors: dict[str, _Anchored] = {}
        self._open: list[_Open] = []
        self._nodes = 0
        self._repeated_nodes = 0
        self._values = 0
        self._repeated_values = 0

    def documents(self) -> Iterator[object]:
        """The documents. Raises DocumentSyntaxError, and what the parser raises."""
        while not isinstance(event := self._parser.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                yield self._document()

    def _document(self) -> object:
        """The value of the node that begins with the next event."""
        self._nodes = self._repeated_nodes = self._values = self._repeated_values = 0
        while True:
            event = self._parser.get_event()
            kind = type(event)
            try:
                if kind is yaml.ScalarEvent:
                    done, value = self._scalar(event)
                elif kind is yaml.AliasEvent:
                    done, value = self._alias(event)
                elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                    done, value = self._begin(event, {} if kind is yaml.MappingStartEvent else [])
                else:
                    done, value = self._end()
            except ScalarError as error:
                raise self._at(event, str(error)) from error
            if done:
                return value

    def _scalar(self, event: Any) -> tuple[bool, object]:
        weight = 1 + len(event.value) // CHARACTERS_A_VALUE
        self._count(event, 1, weight)
        if event.tag is not None:
            value = tagged_scalar(event.tag, event.value)
        else:
            value = plain_scalar(event.value) if event.implicit[0] else event.value
        top = self._open[-1] if self._open else None
        if top is None or not top.awaits_a_key:
            value = json_value(value)
            self._name(event, value, weight)
            return self._add(event, value)
        if event.value == _MERGE and (event.tag == _MERGE_TAG or (event.tag is None and event.implicit[0])):
            top.key = _MERGED
        else:
            key = key_text(value)
            self._name(event, key, weight)
            self._take_key(top, event, key)
        return False, None

    def _name(self, event: Any, value: object, weight: int) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, weight)

    def _take_key(self, top: _Open, event: Any, key: str) -> None:
        if key in top.container and (top.merged is None or key not in top.merged):
            raise self._at(event, f'key "{key}" is already set')
        if top.merged is not None:
            top.merged.discard(key)
        top.key = key

    def _alias(self, event: Any) -> tuple[bool, object]:
        if any(each.anchor == event.anchor for each in self._open):
            raise self._at(event, f"anchor '{event.anchor}' value contains itself")
        if event.anchor not in self._anchors:
            raise self._at(event, f"unknown anchor '{event.anchor}' referenced")
        value, nodes, values = self._anchors[event.anchor]
        self._repeated_nodes += nodes
        self._repeated_values += values
        self._count(event, nodes, values)
        self._refuse_excessive_aliases(event)
        top = self._open[-1] if self._open else None
        if top is not None and top.awaits_a_key:
            if not isinstance(value, str):
                raise self._at(event, "a key must be text, not what this alias stands for")
            self._take_key(top, event, value)
            return False, None
        return self._add(event, value)

    def _begin(self, event: Any, container: object) -> tuple[bool, object]:
        self._count(event, 1, 1)
        if len(self._open) >= self._limits.depth:
            raise self._at(event, too_deep(self._limits))
        top = self._open[-1] if self._open else None
        if top is not None and top.awaits_a_key:
            raise self._at(event, "invalid map key: a list or mapping cannot be a key")
        self._open.append(_Open(container, event.anchor, self._nodes - 1, self._values - 1))
        return False, None

    def _end(self) -> tuple[bool, object]:
        ended = self._open.pop()
        if ended.anchor is not None:
            self._anchors[ended.anchor] = _Anchored(
                ended.container, self._nodes - ended.nodes_before, self._values - ended.values_before
            )
        return self._add(None, ended.container)

    def _add(self, event: Any, value: object) -> tuple[bool, object]:
        """Put a finished value where it belongs; (True, value) if it is the document."""
        if not self._open:
            return True, value
        top = self._open[-1]
        if type(top.container) is list:
            top.container.append(value)
        elif isinstance(top.key, _Merge):
            self._merge(top, event, value)
            top.key = _NO_KEY
        else:
            top.container[top.key] = value
            top.key = _NO_KEY
        return False, None

    def _merge(self, top: _Open, event: Any, value: object) -> None:
        """Set what the merged mappings have; of several the first wins (decoder.merge of go-yaml v2)."""
        mappings = value if isinstance(value, list) else [value]
        if top.merged is None:
            top.merged = set()
        for mapping in reversed(mappings):
            if not isinstance(mapping, dict):
                raise self._at(event, "map merge requires map or sequence of maps as the value")
            top.merged.update(mapping.keys() - top.container.keys())
            top.container.update(mapping)

    def _count(self, event: Any, nodes: int, values: int) -> None:
        self._nodes += nodes
        self._values += values
        if self._values > self._limits.values:
            raise self._at(event, too_many_values(self._limits))

    def _refuse_excessive_aliases(self, event: Any) -> None:
        """By our limit, and as go-yaml does it: a large document may repeat less of itself (decoder.unmarshal)."""
        if self._repeated_values > self._limits.repeated_values:
            raise self._at(event, too_many_repeated(self._limits))
        if self._repeated_nodes <= _FEW_ALIASES or self._nodes <= _FEW_NODES:
            return
        if self._repeated_nodes > self._nodes * _share_of_aliases(self._nodes):
            raise self._at(event, "document contains excessive aliasing")

    def _at(self, event: Any, message: str) -> DocumentSyntaxError:
        mark = event.start_mark if event is not None else None
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        return at(self._first_line + line + 1, column + 1, message)


def _share_of_aliases(nodes: int) -> float:
    """allowedAliasRatio of go-yaml v2."""
    excess = (nodes - _SMALL_DOCUMENT) / (_LARGE_DOCUMENT - _SMALL_DOCUMENT)
    return _SHARE_IN_SMALL - (_SHARE_IN_SMALL - _SHARE_IN_LARGE) * min(1.0, max(0.0, excess))
