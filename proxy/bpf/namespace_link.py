"""Attaches a loaded program to this process's network namespace.

Invariant: the attachment is the descriptor that comes back; it ends when that is closed, however the process ends.
"""

import ctypes
import os
import struct

from proxy.bpf.program import SOCKET_LOOKUP
from proxy.bpf.system_call import Command, bpf

# Of the thread and not of the process: a thread may have gone to another namespace.
_NAMESPACE = "/proc/thread-self/ns/net"
_COUNT_OFFSET = 24  # union bpf_attr, query.count


def link_to_namespace(program: int) -> int:
    """The descriptor of the link. Raises BpfError."""
    namespace = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        attributes = struct.pack("<IIII", program, namespace, SOCKET_LOOKUP, 0)
        return bpf(Command.LINK_CREATE, attributes, "attach the BPF program to the network namespace")
    finally:
        os.close(namespace)


def linked_programs() -> int:
    """How many programs of type sk_lookup are attached to the network namespace, by whomever. Raises BpfError."""
    namespace = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        question = struct.pack("<IIIIQI4x", namespace, SOCKET_LOOKUP, 0, 0, 0, 0)
        attributes = ctypes.create_string_buffer(question, len(question))
        bpf(Command.PROGRAM_QUERY, attributes, "ask what is attached to the network namespace")
        return int(struct.unpack_from("<I", attributes.raw, _COUNT_OFFSET)[0])
    finally:
        os.close(namespace)
