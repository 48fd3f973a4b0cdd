"""Representation: objects, lists and watch events as bytes, in the form that the client asked for.

Invariant: pure, the time is an argument; every form says the same. A list's items have neither kind nor apiVersion, as
in the API server: the list says what they are.
"""

import struct
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import yaml

from proxy.apiserver import status
from proxy.apiserver.document import Document, Stored, Version, metadata_of
from proxy.apiserver.http.negotiation import JSON, PARTIAL, PARTIAL_LIST, PROTOBUF, TABLE, YAML, Form
from proxy.apiserver.http.new_events import shown_event
from proxy.apiserver.kinds import NEW_EVENTS, Kind
from proxy.apiserver.schema.protobuf import message, text
from proxy.apiserver.schema.protobuf_encoding import enveloped, list_message, message_of
from proxy.apiserver.schema.schema import meta_record, record_of
from proxy.apiserver.tables.tables import table

try:
    from yaml import CSafeDumper as _Dumper
except ImportError:  # PyYAML without libyaml: slower, and otherwise the same
    from yaml import SafeDumper as _Dumper  # type: ignore[assignment]

_WIDEST = 1 << 30


class WatchEvent(NamedTuple):
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Version


class Representation(NamedTuple):
    """The `form` of objects of `kind`; a Table holds as much of them as `include_object` says."""

    form: Form
    kind: Kind
    include_object: str
    now: datetime

    def one(self, found: Stored | Version | Document) -> bytes:
        """A single object. Raises StatusError (400, 406)."""
        if self.form.shape == PARTIAL_LIST:
            raise status.not_acceptable_shape(f"you requested {PARTIAL_LIST}, but the requested object is not a list")
        if self.form == Form() and self.kind is not NEW_EVENTS:
            return found.encoded if not isinstance(found, dict) else msgspec.json.encode(found)
        document = found if isinstance(found, dict) else found.document
        if self.form.shape == TABLE:
            version = {"resourceVersion": metadata_of(document).get("resourceVersion", "")}
            return self._written(self._table([document], version))
        document = self._shown(document)
        if self.form.media_type == PROTOBUF:
            return enveloped(*self._title(PARTIAL, self.kind.kind), self._message(document))
        return self._written(self._partial(document) if self.form.shape else document)

    def many(self, items: Iterable[Stored | Version], metadata: Mapping[str, Any]) -> bytes:
        """A list. Raises StatusError (400, 406)."""
        if self.form.shape == PARTIAL:
            raise status.not_acceptable_shape(f"you requested {PARTIAL}, but the requested object is a list")
        if self.form == Form() and self.kind is not NEW_EVENTS:
            return self._plain_list(items, metadata)
        if self.form.shape == TABLE:
            return self._written(self._table([item.document for item in items], metadata))
        api_version, kind = self._title(PARTIAL_LIST, self.kind.list_kind)
        if self.form.media_type == PROTOBUF:
            messages = (self._message(self._shown(item.document)) for item in items)
            content = list_message(message_of(meta_record("ListMeta"), dict(metadata)), messages)
            return enveloped(api_version, kind, content)
        documents = [self._item(item) for item in items]
        return self._written({"kind": kind, "apiVersion": api_version, "metadata": dict(metadata), "items": documents})

    def event(self, event: WatchEvent, is_first: bool) -> bytes:
        """A frame of a watch. Only the first Table has column definitions."""
        if self.form.shape == TABLE:
            document = event.object.document
            version = {"resourceVersion": metadata_of(document).get("resourceVersion", "")}
            rows = [] if event.type == "BOOKMARK" else [document]
            return _frame(self.form, event.type, self._written(self._table(rows, version, is_first)))
        return _frame(self.form, event.type, self.one(event.object))

    def _shown(self, document: Document) -> Document:
        """What is stored as an object of this kind."""
        return shown_event(document) if self.kind is NEW_EVENTS else document

    def _table(self, rows: list[Document], metadata: Mapping[str, Any], with_columns: bool = True) -> Document:
        return table(self.kind, rows, self.now, self.include_object, metadata, with_columns, self.form.version)

    def _title(self, shape: str, kind: str) -> tuple[str, str]:
        """apiVersion and kind of the answer."""
        return (f"meta.k8s.io/{self.form.version}", shape) if self.form.shape else (self.kind.api_version, kind)

    def _partial(self, document: Document) -> Document:
        api_version, kind = self._title(PARTIAL, "")
        return {"kind": kind, "apiVersion": api_version, "metadata": metadata_of(document)}

    def _item(self, item: Stored | Version) -> Document:
        if self.form.shape:
            return self._partial(item.document)
        document = self._shown(item.document)
        return {name: member for name, member in document.items() if name not in ("kind", "apiVersion")}

    def _message(self, document: Document) -> bytes:
        if self.form.shape:
            return message(1, message_of(meta_record("ObjectMeta"), metadata_of(document)))
        return message_of(record_of(self.kind), document)

    def _written(self, document: Document) -> bytes:
        if self.form.media_type == YAML:
            return _yaml(document)
        return msgspec.json.encode(document)

    def _plain_list(self, items: Iterable[Stored | Version], metadata: Mapping[str, Any]) -> bytes:
        title = msgspec.json.encode({"kind": self.kind.kind, "apiVersion": self.kind.api_version})[:-1] + b","
        head = {"kind": self.kind.list_kind, "apiVersion": self.kind.api_version, "metadata": dict(metadata)}
        plain = (
            b"{" + item.encoded[len(title) :]
            if item.encoded.startswith(title)
            else msgspec.json.encode(self._item(item))
            for item in items
        )
        return msgspec.json.encode(head)[:-1] + b',"items":[' + b",".join(plain) + b"]}"


def status_bytes(form: Form, document: Document) -> bytes:
    """A Status: in the form's media type, and never a Table."""
    if form.media_type == PROTOBUF:
        return enveloped("v1", "Status", message_of(meta_record("Status"), document))
    return _yaml(document) if form.media_type == YAML else msgspec.json.encode(document)


def status_event(form: Form, document: Document) -> bytes:
    """The frame of a watch that ends it with a Status."""
    return _frame(form, "ERROR", status_bytes(form, document))


def _frame(form: Form, event_type: str, content: bytes) -> bytes:
    """A line of JSON, or a `WatchEvent` of meta/v1 with its length in front."""
    if form.media_type == JSON:
        return b'{"type":"' + event_type.encode() + b'","object":' + content + b"}\n"
    framed = text(1, event_type) + message(2, message(1, content))
    return struct.pack("!I", len(framed)) + framed


def _yaml(document: Document) -> bytes:
    written = yaml.dump(document, Dumper=_Dumper, encoding="utf-8", allow_unicode=True, width=_WIDEST)
    assert isinstance(written, bytes)
    return written
