"""An array map whose memory this process shares with the programs: a change is a store and no system call.

Invariant: a word (8 bytes, aligned) is written and read whole. To write what programs add to would lose their
additions, so a word has one writer.
"""

import mmap
import os
import struct

from proxy.bpf.system_call import Command, bpf

_ARRAY = 2  # BPF_MAP_TYPE_ARRAY
_MAPPABLE = 1 << 10  # BPF_F_MMAPABLE, Linux 5.5


class MappedArray:
    """`capacity` values of `size` bytes, a multiple of 8. `words`, `halves` and `bytes` are the same memory."""

    def __init__(self, name: str, size: int, capacity: int) -> None:
        """Raises BpfError, and OSError where the memory cannot be mapped."""
        attributes = struct.pack("<IIIIIII16s", _ARRAY, 4, size, capacity, _MAPPABLE, 0, 0, name.encode())
        self.descriptor = bpf(Command.MAP_CREATE, attributes, f"make the BPF map {name}")
        self.size = size
        self.capacity = capacity
        pages = -(-capacity * size // mmap.PAGESIZE)
        try:
            self._memory = mmap.mmap(self.descriptor, pages * mmap.PAGESIZE)
        except OSError:
            os.close(self.descriptor)
            raise
        self.bytes = memoryview(self._memory)
        # In the machine's own format, since `<Q` would write byte by byte.
        self.words = self.bytes.cast("Q")
        self.halves = self.bytes.cast("I")

    def word(self, number: int, offset: int) -> int:
        """Where in `words` the word at `offset` of a value is."""
        return (number * self.size + offset) // 8

    def half(self, number: int, offset: int) -> int:
        """Where in `halves` the 32 bits at `offset` of a value are."""
        return (number * self.size + offset) // 4

    def close(self) -> None:
        """Let go of it; programs that are attached keep using it."""
        if self.descriptor < 0:
            return
        for view in (self.halves, self.words, self.bytes):
            view.release()
        self._memory.close()
        os.close(self.descriptor)
        self.descriptor = -1
