"""Known state: what a cluster looked like when it was last followed, in a file in the state directory.

Invariant: the file is always whole, old or new; one of another version, another cluster or another part of the cluster
is never used; writing it takes the event loop a tenth of a millisecond at a time.
"""

import asyncio
import itertools
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO, TypeVar

import msgspec

from proxy.model.changes import PodWeight
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.node import Node
from proxy.model.service import Service
from proxy.replacement import Replacement

T = TypeVar("T")

_VERSION = 1
_OBJECTS_PER_PART = 10
_LENGTH_BYTES = 8


class KnownObjects(msgspec.Struct, frozen=True):
    """Objects, or a part of them; each defaulted and usable."""

    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    pod_weights: tuple[PodWeight, ...] = ()
    nodes: tuple[Node, ...] = ()


class KnownState(msgspec.Struct, frozen=True):
    """What was known, and when it was `saved` (RFC 3339)."""

    saved: str
    objects: KnownObjects


class KnownStateError(Exception):
    """The file cannot be used; the text says why."""


class _Header(msgspec.Struct, frozen=True):
    version: int
    identity: tuple[str, ...] = ()
    saved: str = ""
    parts: int = 0


_HEADER = msgspec.msgpack.Decoder(_Header)
_PART = msgspec.msgpack.Decoder(KnownObjects)
_ENCODER = msgspec.msgpack.Encoder()


class KnownStateFile:
    """`identity` says which cluster, and which part of it, the objects are from."""

    def __init__(self, directory: str, identity: tuple[str, ...]) -> None:
        self.path = os.path.join(directory, "known-state.msgpack")
        self._directory = directory
        self._identity = identity

    def load(self) -> KnownState | None:
        """What was saved last, or None where nothing fits. Raises KnownStateError for a file that cannot be read."""
        try:
            with open(self.path, "rb") as file:
                header = _HEADER.decode(_read_frame(file))
                if (header.version, header.identity) != (_VERSION, self._identity):
                    return None
                parts = [_PART.decode(_read_frame(file)) for _ in range(header.parts)]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KnownStateError(f"{self.path}: cannot be read: {error.strerror}") from error
        except (msgspec.MsgspecError, EOFError) as error:
            raise KnownStateError(f"{self.path}: is damaged ({error}) and is not used") from error
        return KnownState(header.saved, _joined(parts))

    async def save(self, objects: KnownObjects) -> None:
        """Replace the file; it is on disk when this returns. Raises KnownStateError."""
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            with Replacement(self.path) as replacement:
                await self._write(replacement.file, list(_parts(objects)))
                await asyncio.to_thread(replacement.finish)
        except OSError as error:
            message = f"{self.path}: cannot be written: {error.strerror}: a restart needs the API server"
            raise KnownStateError(message) from error

    async def _write(self, file: BinaryIO, parts: list[KnownObjects]) -> None:
        saved = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        _write_frame(file, _Header(_VERSION, self._identity, saved, len(parts)))
        for part in parts:
            _write_frame(file, part)
            await asyncio.sleep(0)


def _parts(objects: KnownObjects) -> Iterator[KnownObjects]:
    yield from (KnownObjects(services=each) for each in _batches(objects.services))
    yield from (KnownObjects(slices=each) for each in _batches(objects.slices))
    yield from (KnownObjects(pod_weights=each) for each in _batches(objects.pod_weights))
    yield KnownObjects(nodes=objects.nodes)


def _batches(items: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    return (items[start : start + _OBJECTS_PER_PART] for start in range(0, len(items), _OBJECTS_PER_PART))


def _joined(parts: Iterable[KnownObjects]) -> KnownObjects:
    parts = list(parts)
    return KnownObjects(
        services=tuple(itertools.chain.from_iterable(part.services for part in parts)),
        slices=tuple(itertools.chain.from_iterable(part.slices for part in parts)),
        pod_weights=tuple(itertools.chain.from_iterable(part.pod_weights for part in parts)),
        nodes=tuple(itertools.chain.from_iterable(part.nodes for part in parts)),
    )


def _write_frame(file: BinaryIO, value: msgspec.Struct) -> None:
    content = _ENCODER.encode(value)
    file.write(len(content).to_bytes(_LENGTH_BYTES, "big"))
    file.write(content)


def _read_frame(file: BinaryIO) -> bytes:
    length = int.from_bytes(_exactly(file, _LENGTH_BYTES), "big")
    remaining = os.fstat(file.fileno()).st_size - file.tell()
    if length > remaining:
        raise EOFError("it ends too early")
    return _exactly(file, length)


def _exactly(file: BinaryIO, length: int) -> bytes:
    content = file.read(length)
    if len(content) < length:
        raise EOFError("it ends too early")
    return content
