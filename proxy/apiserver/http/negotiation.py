"""Negotiation: which form of an answer a client takes, and which form a body has.

Imports this room's readers and errors. Invariant: what cannot be spoken is refused with the API server's 406 or 415;
answers are JSON, bodies JSON, YAML or protobuf.
"""

from typing import NamedTuple

from proxy.apiserver import status
from proxy.apiserver.document import Document
from proxy.apiserver.schema.protobuf_object import protobuf_object
from proxy.apiserver.schema.schema_types import Record
from proxy.documents.json_documents import load_json
from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_JSON_RANGES = (JSON, "application/*", "*/*")


class Accepted(NamedTuple):
    """One entry of an Accept header: its media type and its parameters."""

    media_type: str
    parameters: dict[str, str]


def accepted(header: str) -> list[Accepted]:
    """The entries of an Accept header in the order of the client's wish; an empty header takes anything."""
    entries = []
    for part in header.split(","):
        media_type, *rest = (word.strip() for word in part.split(";"))
        parameters = {name.strip(): value.strip() for name, _, value in (word.partition("=") for word in rest)}
        if media_type:
            entries.append(Accepted(media_type.lower(), parameters))
    return entries or [Accepted("*/*", {})]


def wants_table(header: str) -> bool:
    """Whether the first form that can be given is a Table of meta.k8s.io/v1. Raises StatusError (406)."""
    for entry in accepted(header):
        if entry.media_type not in _JSON_RANGES:
            continue
        shape = entry.parameters.get("as")
        if shape is None:
            return False
        if (shape, entry.parameters.get("g"), entry.parameters.get("v")) == ("Table", "meta.k8s.io", "v1"):
            return True
    raise status.not_acceptable((JSON,))


def parsed_body(body: bytes, content_type: str, expected: Record) -> Document:
    """The object in a body: of the type `expected` where it is protobuf, of any where it is JSON or YAML.

    Raises StatusError: 415 for other media types, 400 for what is no such object.
    """
    media_type = content_type.partition(";")[0].strip().lower() or JSON
    if media_type == PROTOBUF:
        return protobuf_object(body, expected)
    if media_type not in (JSON, YAML):
        raise status.unsupported_media_type((JSON, YAML, PROTOBUF))
    try:
        text = body.decode()
        documents = load_yaml(text) if media_type == YAML else load_json(text)
    except (DocumentSyntaxError, UnicodeDecodeError) as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise status.bad_request("couldn't get version/kind; json parse error: the body must be one object")
    return documents[0]
