"""Object reader: one object of a list or a watch event, from its JSON to what the rest of the program uses.

Invariant: nothing is raised, whatever the JSON says: what cannot be used is an Observed with a problem and without an
item. Fields that the proxy does not know are ignored.
"""

from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from proxy.model.json_shape import ShapeError, json_shape
from proxy.model.metadata import ObjectMeta
from proxy.model.problem import Problem
from proxy.sources.kubernetes_api.object_store import Observed


class UnusableError(Exception):
    """An object that has the right types and still cannot be used; the text says why."""


class _Object(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...


class _Name(msgspec.Struct, frozen=True, rename="camel"):
    """The part of metadata without which an object is none."""

    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Named(msgspec.Struct, frozen=True):
    metadata: _Name


W = TypeVar("W", bound=_Object)
T = TypeVar("T")


class _Sent(msgspec.Struct, Generic[W], frozen=True):
    """An event of a watch that brings an object."""

    type: Literal["ADDED", "MODIFIED"]
    object: W


_NAMED = msgspec.json.Decoder(_Named)


class ObjectReader(Generic[W, T]):
    """Reads objects of one kind. `refine` makes what is used of what was sent; it may raise UnusableError."""

    def __init__(self, kind: str, wire: type[W], refine: Callable[[W], T]) -> None:
        self._kind = kind
        self._wire: type[W] = wire
        self._decoder = msgspec.json.Decoder(wire)
        self._events: msgspec.json.Decoder[_Sent[W]] = msgspec.json.Decoder(_Sent[wire])  # type: ignore[valid-type]
        self._refine = refine

    def read_put(self, line: bytes) -> Observed[T] | None:
        """The object of an ADDED or MODIFIED event in one step, as nearly all can be read; None for any other event,
        and for an object that takes a second look (`read`)."""
        try:
            sent = self._events.decode(line).object
            key = sent.metadata.namespace, sent.metadata.name
            return Observed(key, sent.metadata.resource_version, self._refine(sent)) if key[1] else None
        except (msgspec.MsgspecError, UnusableError):
            return None

    def read(self, raw: msgspec.Raw) -> Observed[T]:
        """One object."""
        try:
            sent = self._decode(raw)
            if sent.metadata.name:
                key = sent.metadata.namespace, sent.metadata.name
                return Observed(key, sent.metadata.resource_version, self._refine(sent))
            return self._unusable(raw, "metadata.name is missing")
        except (msgspec.MsgspecError, ShapeError, UnusableError) as error:
            return self._unusable(raw, str(error))

    def name(self, raw: msgspec.Raw) -> Observed[T]:
        """An object of which only name and version matter."""
        try:
            metadata = _NAMED.decode(raw).metadata
        except msgspec.MsgspecError:
            metadata = _Name()
        return Observed((metadata.namespace, metadata.name), metadata.resource_version, None)

    def _unusable(self, raw: msgspec.Raw, message: str) -> Observed[T]:
        named = self.name(raw)
        subject = f"{self._kind} {'/'.join(word for word in named.key if word)}".strip()
        return Observed(named.key, named.version, None, Problem(f"{message}; it is left out", subject))

    def _decode(self, raw: msgspec.Raw) -> W:
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError:
            # Go writes nil lists and maps as null, which means the same as absent and is no mistake.
            return msgspec.convert(json_shape(msgspec.json.decode(raw)), self._wire)
