"""A map: the table that a program in the kernel reads and this process writes.

Invariant: a key or value of another size than the map's never reaches the kernel, which would read beyond it.
"""

import ctypes
import enum
import errno
import os
import struct
from collections.abc import Iterable, Mapping

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.system_call import Command, bpf

_NO_PREALLOCATION = 1  # BPF_F_NO_PREALLOC: memory for the entries that there are, not for all that there may be.


class MapKind(enum.IntEnum):
    """include/uapi/linux/bpf.h, enum bpf_map_type."""

    HASH = 1
    RECENT = 9  # BPF_MAP_TYPE_LRU_HASH: what was used longest ago makes room.
    PREFIXES = 11  # BPF_MAP_TYPE_LPM_TRIE: the longest prefix that matches.
    SOCKETS = 15  # BPF_MAP_TYPE_SOCKMAP: an array; a value is written as a descriptor.


class BpfMap:
    """Lives until `close`, or until the programs that use it are gone too. Sizes are bytes."""

    def __init__(
        self, name: str, kind: MapKind, key_size: int, value_size: int, capacity: int, descriptor: int = -1
    ) -> None:
        """Raises BpfError. `name` is for people and shown by other tools (at most 15 letters, digits, `_` or `.`).
        With a descriptor, it is a map that is there already, of the same sizes."""
        self._name = name
        self._sizes = (key_size, value_size)
        self.descriptor = descriptor
        if descriptor >= 0:
            return
        flags = _NO_PREALLOCATION if kind in (MapKind.HASH, MapKind.PREFIXES) else 0
        attributes = struct.pack("<IIIIIII16s", kind, key_size, value_size, capacity, flags, 0, 0, name.encode())
        self.descriptor = bpf(Command.MAP_CREATE, attributes, f"make the BPF map {name}")

    def update(self, key: bytes, value: bytes) -> None:
        """Add or replace one entry. Raises BpfError: E2BIG where the map is full."""
        self._change(Command.MAP_UPDATE_ELEMENT, key, value)

    def update_all(self, entries: Mapping[bytes, bytes]) -> None:
        """Add or replace many in one call. Raises BpfError; entries that came before the one that failed are in."""
        if not entries:
            return
        keys = self._buffer(entries, 0)
        values = self._buffer(entries.values(), 1)
        addresses = ctypes.addressof(keys), ctypes.addressof(values)
        attributes = struct.pack("<QQQQIIQQ", 0, 0, *addresses, len(entries), self.descriptor, 0, 0)
        # The kernel writes back how many it took.
        bpf(Command.MAP_UPDATE_BATCH, ctypes.create_string_buffer(attributes, len(attributes)), self._doing())

    def delete(self, key: bytes) -> None:
        """Take one entry out; none is fine too. Raises BpfError."""
        try:
            self._change(Command.MAP_DELETE_ELEMENT, key)
        except BpfError as error:
            # A map of sockets answers EINVAL for a slot that is empty (net/core/sock_map.c, __sock_map_delete).
            if error.errno not in (errno.ENOENT, errno.EINVAL):
                raise

    def value_of(self, key: bytes) -> bytes | None:
        """The value of one entry as of now; None where there is none. Raises BpfError."""
        keys, value = self._buffer((key,), 0), ctypes.create_string_buffer(self._sizes[1])
        attributes = struct.pack("<I4xQQQ", self.descriptor, ctypes.addressof(keys), ctypes.addressof(value), 0)
        try:
            bpf(Command.MAP_LOOKUP_ELEMENT, attributes, f"read the BPF map {self._name}")
        except BpfError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return value.raw

    def close(self) -> None:
        """Let go of it; programs that are attached keep using it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _change(self, command: Command, key: bytes, value: bytes | None = None) -> None:
        keys = self._buffer((key,), 0)
        values = None if value is None else self._buffer((value,), 1)
        address = 0 if values is None else ctypes.addressof(values)
        attributes = struct.pack("<I4xQQQ", self.descriptor, ctypes.addressof(keys), address, 0)
        bpf(command, attributes, self._doing())

    def _buffer(self, items: Iterable[bytes], which: int) -> ctypes.Array[ctypes.c_char]:
        size = self._sizes[which]
        items = list(items)
        if any(len(item) != size for item in items):
            raise ValueError(f"a {('key', 'value')[which]} of the map {self._name} is {size} bytes long")
        return ctypes.create_string_buffer(b"".join(items), size * len(items))

    def _doing(self) -> str:
        return f"change the BPF map {self._name}"
