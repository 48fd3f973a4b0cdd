"""Memory that a program keeps with a socket: it goes with the socket, so it has no capacity and leaks nothing.

Invariant: what one socket stores, no other sees (BPF_MAP_TYPE_SK_STORAGE, Linux 5.2).
"""

import os
import struct

from proxy.bpf.btf import STORAGE_KEY, STORAGE_VALUE, storage_types
from proxy.bpf.system_call import Command, bpf

_SOCKET_STORAGE = 24
_NO_PREALLOCATION = 1


class SocketStorage:
    """`size` bytes for each socket, a multiple of 4."""

    def __init__(self, name: str, size: int, descriptor: int = -1) -> None:
        """Raises BpfError. With a descriptor, it is one that is there already, of the same size."""
        self.descriptor = descriptor
        if descriptor >= 0:
            return
        types = storage_types(size)
        try:
            attributes = struct.pack(
                "<IIIIIII16sIIII",
                _SOCKET_STORAGE,
                4,
                size,
                0,
                _NO_PREALLOCATION,
                0,
                0,
                name.encode(),
                0,
                types,
                STORAGE_KEY,
                STORAGE_VALUE,
            )
            self.descriptor = bpf(Command.MAP_CREATE, attributes, f"make the BPF map {name}")
        finally:
            os.close(types)

    def close(self) -> None:
        """Let go of it; programs that are attached keep using it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
