"""Selectors: which objects a list or a watch is about.

Imports this room's documents. Invariant: a label selector means what k8s.io/apimachinery/pkg/labels makes of it (an
absent label is unequal to everything), a field selector takes only the fields that the API server indexes.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from proxy.apiserver.document import Document, labels_of
from proxy.apiserver.kinds import EVENTS, NAMESPACES, NODES, PODS, SERVICES, Kind
from proxy.model.names import label_value_messages, qualified_name_messages

Matches = Callable[[Document], bool]

_REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<absent_key>[^\s,()=!]+)"
    r"|(?P<set_key>[^\s,()=!]+)\s+(?P<set_operator>in|notin)\s*\((?P<values>[^()]*)\)"
    r"|(?P<key>[^\s,()=!]+)\s*(?:(?P<operator>==|=|!=)\s*(?P<value>[^\s,()=!]*))?)\s*"
)
_FIELD = re.compile(r"(?P<path>[^=!]+)(?P<operator>==|=|!=)(?P<value>.*)")
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


class _Requirement(NamedTuple):
    """`key` has one of `values`, or with None any; `wanted` False turns the requirement around."""

    key: str
    values: frozenset[str] | None
    wanted: bool

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        there = self.key in labels and (self.values is None or labels[self.key] in self.values)
        return there is self.wanted


def label_selector(text: str) -> Matches:
    """What `text`, like `app=web,tier in (a, b),!canary`, selects. Raises ValueError with the API's message."""
    requirements = _requirements(text)
    return lambda document: all(requirement.is_met_by(labels_of(document)) for requirement in requirements)


def field_selector(kind: Kind, text: str) -> Matches:
    """What `text`, like `metadata.name=web,spec.type!=ExternalName`, selects. Raises ValueError."""
    requirements = [_field_requirement(kind, part) for part in text.split(",") if part]
    return lambda document: all((_field(document, path) == value) is wanted for path, value, wanted in requirements)


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
        return _checked(_Requirement(match["absent_key"], None, wanted=False))
    if match["set_operator"]:
        values = frozenset(value.strip() for value in match["values"].split(","))
        return _checked(_Requirement(match["set_key"], values, wanted=match["set_operator"] == "in"))
    if match["operator"] is None:
        return _checked(_Requirement(match["key"], None, wanted=True))
    return _checked(_Requirement(match["key"], frozenset((match["value"],)), wanted=match["operator"] != "!="))


def _checked(requirement: _Requirement) -> _Requirement:
    for message in qualified_name_messages(requirement.key):
        raise ValueError(f'unable to parse requirement: <nil>: Invalid value: "{requirement.key}": {message}')
    for value in sorted(requirement.values or ()):
        for message in label_value_messages(value):
            raise ValueError(f'unable to parse requirement: values: Invalid value: "{value}": {message}')
    return requirement


def _field_requirement(kind: Kind, text: str) -> tuple[str, str, bool]:
    match = _FIELD.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid selector: '{text}'; can't understand '{text}'")
    if match["path"] not in (*_COMMON_FIELDS, *_FIELDS.get(kind, ())):
        raise ValueError(f"field label not supported: {match['path']}")
    return match["path"], match["value"], match["operator"] != "!="


def _field(document: Document, path: str) -> str:
    """The field as selectors see it: text, and empty where there is none."""
    value: object = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, dict):
        value = value.get("component")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
