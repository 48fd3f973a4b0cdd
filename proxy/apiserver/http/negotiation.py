"""Negotiation: which form of an answer a client takes.

The rules are those of k8s.io/apiserver/pkg/endpoints/handlers/negotiation. Invariant: what cannot be spoken is refused
with the API server's 406; a clause of the header that cannot be met is passed over for the next one.
"""

from collections.abc import Mapping
from typing import NamedTuple

from proxy.apiserver import status

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
STREAMED = (JSON, PROTOBUF)
"""Media types that a watch can have: YAML has no frames."""

TABLE, PARTIAL, PARTIAL_LIST = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
_META_GROUP = "meta.k8s.io"
_META_VERSIONS = ("v1", "v1beta1")
_ANYTHING = ("*/*", "application/*")


class Accepted(NamedTuple):
    """One clause of an Accept header: its media type and its parameters."""

    media_type: str
    parameters: Mapping[str, str]


class Form(NamedTuple):
    """How an answer looks: its media type, and `shape`, which is empty for the objects themselves, or a kind of
    meta.k8s.io in `version`."""

    media_type: str = JSON
    shape: str = ""
    version: str = "v1"


def accepted(header: str) -> list[Accepted]:
    """The clauses of an Accept header, those that the client wants most first; an empty header takes anything."""
    entries = []
    for part in header.split(","):
        media_type, *rest = (word.strip() for word in part.split(";"))
        parameters = {name.strip(): value.strip() for name, _, value in (word.partition("=") for word in rest)}
        if media_type:
            entries.append(Accepted(media_type.lower(), parameters))
    return sorted(entries, key=_weight, reverse=True) or [Accepted("*/*", {})]


def answer_form(header: str, media_types: tuple[str, ...] = MEDIA_TYPES) -> Form:
    """The first form in an Accept header that can be given. Raises StatusError (406)."""
    for clause in accepted(header):
        media_type = media_types[0] if clause.media_type in _ANYTHING else clause.media_type
        form = _form(media_type, clause.parameters) if media_type in media_types else None
        if form is not None:
            return form
    suffix = ";stream=watch" if media_types == STREAMED else ""
    raise status.not_acceptable([f"{media_type}{suffix}" for media_type in media_types])


def _form(media_type: str, parameters: Mapping[str, str]) -> Form | None:
    shape = parameters.get("as", "")
    if not shape:
        return Form(media_type)
    version = parameters.get("v", "")
    if parameters.get("g") != _META_GROUP or version not in _META_VERSIONS:
        return None
    # A Table has no protobuf form.
    known = shape in (PARTIAL, PARTIAL_LIST) or (shape == TABLE and media_type != PROTOBUF)
    return Form(media_type, shape, version) if known else None


def _weight(clause: Accepted) -> float:
    try:
        return float(clause.parameters.get("q", "1"))
    except ValueError:
        return 1.0
