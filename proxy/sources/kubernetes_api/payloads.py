"""Payloads: the bodies that the API server answers a list or a watch with.

Invariant: an answer that is not what it should be raises PayloadError, and one bad object among good ones does not: it
is read as a problem. Decoders are made once.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from proxy.sources.kubernetes_api.object_reader import ObjectReader
from proxy.sources.kubernetes_api.object_store import Observed

T = TypeVar("T")

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class PayloadError(Exception):
    """The bytes are not what the Kubernetes API sends."""


class ListPage(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `following` is the token of the next page, empty on the last."""

    objects: tuple[Observed[T], ...]
    version: str
    following: str = ""


class Put(msgspec.Struct, Generic[T], frozen=True):
    """ADDED or MODIFIED."""

    observed: Observed[T]


class Removed(msgspec.Struct, Generic[T], frozen=True):
    """DELETED; of `observed` only the key and the version count."""

    observed: Observed[T]


class Bookmark(msgspec.Struct, frozen=True):
    """Everything up to `version` was sent; `initial_events_end` closes a streaming list (KEP-3157)."""

    version: str
    initial_events_end: bool


class Failure(msgspec.Struct, frozen=True):
    """ERROR: the watch cannot go on."""

    code: int
    message: str


WatchEvent = Put[T] | Removed[T] | Bookmark | Failure


class _ListMeta(msgspec.Struct, frozen=True, rename={"following": "continue", "version": "resourceVersion"}):
    version: str = ""
    following: str = ""


class _List(msgspec.Struct, frozen=True):
    items: tuple[msgspec.Raw, ...] | None
    metadata: _ListMeta = _ListMeta()


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _BookmarkMeta(msgspec.Struct, frozen=True, rename={"version": "resourceVersion"}):
    version: str = ""
    annotations: dict[str, str] = {}


class _BookmarkObject(msgspec.Struct, frozen=True):
    metadata: _BookmarkMeta


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
    code: int = 0


_LIST = msgspec.json.Decoder(_List)
_EVENT = msgspec.json.Decoder(_Event)
_BOOKMARK = msgspec.json.Decoder(_BookmarkObject)
_STATUS = msgspec.json.Decoder(_Status)


def read_list(body: bytes, reader: ObjectReader[Any, T]) -> ListPage[T]:
    """One page. Raises PayloadError."""
    try:
        page = _LIST.decode(body)
    except msgspec.MsgspecError as error:
        raise PayloadError(f"the answer is not a list of objects: {error}") from error
    objects = tuple(reader.read(raw) for raw in page.items or ())
    return ListPage(objects, page.metadata.version, page.metadata.following)


def read_events(lines: Iterable[bytes], reader: ObjectReader[Any, T]) -> list[WatchEvent[T]]:
    """The events of some lines; those of a type nobody knows are left out. Raises PayloadError."""
    try:
        events = [_read_line(line, reader) for line in lines]
    except msgspec.MsgspecError as error:
        raise PayloadError(f"the watch sent what is no event: {error}") from error
    return [event for event in events if event is not None]


def status_message(body: bytes) -> str:
    """What a refusal says: the message of a Status, else the beginning of the text."""
    try:
        return _STATUS.decode(body).message
    except msgspec.MsgspecError:
        return body[:200].decode("utf-8", "replace").strip()


def _read_line(line: bytes, reader: ObjectReader[Any, T]) -> WatchEvent[T] | None:
    observed = reader.read_put(line)
    return _read_event(_EVENT.decode(line), reader) if observed is None else Put(observed)


def _read_event(event: _Event, reader: ObjectReader[Any, T]) -> WatchEvent[T] | None:
    match event.type:
        case "ADDED" | "MODIFIED":
            return Put(reader.read(event.object))
        case "DELETED":
            return Removed(reader.name(event.object))
        case "BOOKMARK":
            metadata = _BOOKMARK.decode(event.object).metadata
            return Bookmark(metadata.version, metadata.annotations.get(_INITIAL_EVENTS_END) == "true")
        case "ERROR":
            status = _STATUS.decode(event.object)
            return Failure(status.code, status.message)
    return None
