"""BTF that the kernel wants beside some maps and programs, written by hand: there is no compiler to make it.

Socket storage wants to know the types of its key and value; a program that hands a function to a helper wants to know
the functions (Documentation/bpf/btf.rst). Invariant: a descriptor that comes from here is the caller's to close.
"""

import ctypes
import struct

from proxy.bpf.system_call import Command, bpf

STORAGE_KEY, STORAGE_VALUE = 1, 2
"""Numbers of the types in `storage_types`."""

CALLED_FUNCTION, MAIN_FUNCTION = 5, 3
"""Numbers of the functions in `function_types`."""

_MAGIC = 0xEB9F
_HEADER_SIZE = 24
_INT, _ARRAY, _FUNC, _FUNC_PROTO = 1, 3, 12, 13
_SIGNED_32_BITS = 1 << 24 | 32


def storage_types(size: int) -> int:
    """A descriptor: `int` for the key and an array of `int` of `size` bytes for the value. Raises BpfError."""
    names = _Names("int")
    types = _int(names) + struct.pack("<IIIIII", 0, _ARRAY << 24, 0, 1, 1, size // 4)
    return _load(types, names)


def function_types() -> int:
    """A descriptor: `int main(int)` and `int called(int, int)`. Raises BpfError."""
    names = _Names("int", "main", "called", "a", "b")
    types = _int(names)
    types += struct.pack("<IIIII", 0, _FUNC_PROTO << 24 | 1, 1, names["a"], 1)
    types += struct.pack("<III", names["main"], _FUNC << 24, 2)
    types += struct.pack("<IIIIIII", 0, _FUNC_PROTO << 24 | 2, 1, names["a"], 1, names["b"], 1)
    types += struct.pack("<III", names["called"], _FUNC << 24, 4)
    return _load(types, names)


class _Names:
    """The string section: where each name begins."""

    def __init__(self, *names: str) -> None:
        self.section = b"\0"
        self._places: dict[str, int] = {}
        for name in names:
            self._places[name] = len(self.section)
            self.section += name.encode() + b"\0"

    def __getitem__(self, name: str) -> int:
        return self._places[name]


def _int(names: _Names) -> bytes:
    return struct.pack("<IIII", names["int"], _INT << 24, 4, _SIGNED_32_BITS)


def _load(types: bytes, names: _Names) -> int:
    header = struct.pack("<HBBIIIII", _MAGIC, 1, 0, _HEADER_SIZE, 0, len(types), len(types), len(names.section))
    text = header + types + names.section
    data = ctypes.create_string_buffer(text, len(text))
    return bpf(Command.BTF_LOAD, struct.pack("<QQIII4x", ctypes.addressof(data), 0, len(text), 0, 0), "load BTF")
