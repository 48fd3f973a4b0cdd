"""Selectors: which objects a list or a watch is about.

Invariant: a label selector means what k8s.io/apimachinery/pkg/labels makes of it (an absent label is unequal to
everything), a field selector takes only the fields that the API server indexes. However many requirements a client
sends, looking at one object takes time in proportion to the labels and fields of that object.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from proxy.apiserver.document import Document, Version, labels_of
from proxy.apiserver.kinds import EVENTS, NAMESPACES, NODES, PODS, SERVICES, Kind
from proxy.model.names import label_value_messages, qualified_name_messages

Matches = Callable[[Document], bool]

_REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<absent_key>[^\s,()=!<>]+)"
    r"|(?P<set_key>[^\s,()=!<>]+)\s+(?P<set_operator>in|notin)\s*\((?P<values>[^()]*)\)"
    r"|(?P<key>[^\s,()=!<>]+)\s*(?:(?P<operator>==|=|!=|>|<)\s*(?P<value>[^\s,()=!<>]*))?)\s*"
)
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_FIELD = re.compile(r"(?P<path>[^=!]+)(?P<operator>==|=|!=)(?P<value>.*)", re.DOTALL)
_COMMON_FIELDS = ("metadata.name", "metadata.namespace")
_FIELDS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        SERVICES: ("spec.clusterIP", "spec.type"),
        PODS: (
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ),
        NODES: ("spec.unschedulable",),
        NAMESPACES: ("status.phase",),
        EVENTS: (
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ),
    }
)


class LabelSelector(NamedTuple):
    """The requirements on each label together: it is `needed`, `unwanted`, has one of the `allowed` values and none of
    the `refused` ones, and is a number above and below others."""

    needed: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()
    allowed: Mapping[str, frozenset[str]] = MappingProxyType({})
    refused: Mapping[str, frozenset[str]] = MappingProxyType({})
    above: Mapping[str, int] = MappingProxyType({})
    below: Mapping[str, int] = MappingProxyType({})

    def __call__(self, document: Document) -> bool:
        labels = labels_of(document)
        if len(self.needed) > len(labels) or not self.needed <= labels.keys():
            return False
        return self.unwanted.isdisjoint(labels) and all(self._takes(name, labels[name]) for name in labels)

    def _takes(self, name: str, value: str) -> bool:
        if value in self.refused.get(name, ()) or (name in self.allowed and value not in self.allowed[name]):
            return False
        if name not in self.above and name not in self.below:
            return True
        number = int(value) if _INTEGER.fullmatch(value) else None
        return number is not None and self.above.get(name, number - 1) < number < self.below.get(name, number + 1)


class FieldSelector(NamedTuple):
    """The requirements on each field together: its one `wanted` value, or None where several exclude each other, and
    the `refused` ones."""

    wanted: Mapping[str, str | None] = MappingProxyType({})
    refused: Mapping[str, frozenset[str]] = MappingProxyType({})

    def __call__(self, document: Document) -> bool:
        return all(value in _fields(document, path) for path, value in self.wanted.items()) and not any(
            refused.issuperset(_fields(document, path)) for path, refused in self.refused.items()
        )

    @property
    def needs_metadata_alone(self) -> bool:
        """Whether it can be answered from an object's metadata."""
        return all(path.startswith("metadata.") for path in (*self.wanted, *self.refused))


class Selection(NamedTuple):
    """What a list, a watch or a deletion of many is about. An empty `name` is any."""

    name: str = ""
    labels: LabelSelector = LabelSelector()
    fields: FieldSelector = FieldSelector()

    @property
    def is_everything(self) -> bool:
        """Whether no object is left out."""
        return self == Selection()

    def matches(self, document: Document) -> bool:
        """Whether `document` is selected."""
        return self.name in ("", document["metadata"]["name"]) and self.labels(document) and self.fields(document)

    def takes(self, version: Version) -> bool:
        """Whether `version` is selected; it is decoded only as far as that needs."""
        if self.is_everything:
            return True
        return self.matches(version.head if self.fields.needs_metadata_alone else version.document)


def label_selector(text: str) -> LabelSelector:
    """What `text`, like `app=web,tier in (a, b),!canary,n>1`, selects. Raises ValueError with the API's message."""
    needed, unwanted = set(), set()
    allowed: dict[str, set[str]] = {}
    refused: dict[str, set[str]] = {}
    bounds: dict[str, dict[str, int]] = {">": {}, "<": {}}
    for key, operator, values in _requirements(text):
        match operator:
            case "!":
                unwanted.add(key)
            case "notin":
                refused.setdefault(key, set()).update(values)
            case "<" | ">":
                needed.add(key)
                (number,) = map(int, values)
                tighter = max if operator == ">" else min
                bounds[operator][key] = tighter(number, bounds[operator].get(key, number))
            case _:
                needed.add(key)
                if operator == "in":
                    allowed[key] = set(values) & allowed.get(key, set(values))
    return LabelSelector(
        frozenset(needed), frozenset(unwanted), _frozen(allowed), _frozen(refused), bounds[">"], bounds["<"]
    )


def field_selector(kind: Kind, text: str) -> FieldSelector:
    """What `text`, like `metadata.name=web,spec.type!=ExternalName`, selects. Raises ValueError."""
    wanted: dict[str, str | None] = {}
    refused: dict[str, set[str]] = {}
    for part in filter(None, text.split(",")):
        path, value, is_wanted = _field_requirement(kind, part)
        if is_wanted:
            wanted[path] = value if wanted.get(path, value) == value else None
        else:
            refused.setdefault(path, set()).add(value)
    return FieldSelector(wanted, _frozen(refused))


def _frozen(values: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {key: frozenset(found) for key, found in values.items()}


_Requirement = tuple[str, str, tuple[str, ...]]
"""Key, operator (`in`, `notin`, `exists`, `!`, `<` or `>`) and values."""


def _requirements(text: str) -> list[_Requirement]:
    if not text.strip():
        return []
    found, position = [], 0
    while True:
        match = _REQUIREMENT.match(text, position)
        if match is None:
            raise ValueError(f"unable to parse requirement: found '{text[position:]}', expected: identifier or '!'")
        found.append(_requirement(match))
        position = match.end()
        if position == len(text):
            return found
        if text[position] != ",":
            raise ValueError(
                f"unable to parse requirement: found '{text[position:]}', expected: ',' or 'end of string'"
            )
        position += 1


def _requirement(match: re.Match[str]) -> _Requirement:
    if match["absent"]:
        return _checked((match["absent_key"], "!", ()))
    if match["set_operator"]:
        values = tuple(value.strip() for value in match["values"].split(","))
        return _checked((match["set_key"], match["set_operator"], values))
    operator = match["operator"]
    if operator is None:
        return _checked((match["key"], "exists", ()))
    if operator in ("<", ">"):
        return _checked(_bound(match["key"], operator, match["value"]))
    return _checked((match["key"], "notin" if operator == "!=" else "in", (match["value"],)))


def _bound(key: str, operator: str, value: str) -> _Requirement:
    if not _INTEGER.fullmatch(value):
        reason = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise ValueError(f'unable to parse requirement: values[0]: Invalid value: "{value}": {reason}')
    return key, operator, (value,)


def _checked(requirement: _Requirement) -> _Requirement:
    key, _, values = requirement
    for message in qualified_name_messages(key):
        raise ValueError(f'unable to parse requirement: <nil>: Invalid value: "{key}": {message}')
    for index, value in enumerate(values):
        for message in label_value_messages(value):
            raise ValueError(
                f'unable to parse requirement: values[{index}][{key}]: Invalid value: "{value}": {message}'
            )
    return requirement


def _field_requirement(kind: Kind, text: str) -> tuple[str, str, bool]:
    match = _FIELD.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid selector: '{text}'; can't understand '{text}'")
    if match["path"] not in (*_COMMON_FIELDS, *_FIELDS.get(kind, ())):
        raise ValueError(f"field label not supported: {match['path']}")
    return match["path"], match["value"], match["operator"] != "!="


def _fields(document: Document, path: str) -> list[str]:
    """The field as selectors see it: a text, empty where there is none, or one for each entry of a list."""
    value: object = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list):
        return [entry.get("ip", "") for entry in value if isinstance(entry, dict)] or [""]
    if isinstance(value, dict):
        value = value.get("component")
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return ["" if value is None else str(value)]
