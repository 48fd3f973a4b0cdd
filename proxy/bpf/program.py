"""Loads programs into the kernel, past its verifier.

Invariant: a program that the verifier refuses is one line: what it said last.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.btf import CALLED_FUNCTION, MAIN_FUNCTION, function_types
from proxy.bpf.system_call import Command, bpf

SOCKET_LOOKUP = 36
"""BPF_SK_LOOKUP of enum bpf_attach_type."""

_TYPE_SOCKET_LOOKUP = 30  # BPF_PROG_TYPE_SK_LOOKUP
_SLOT = 8
_FUNCTION_RECORD = 8  # struct bpf_func_info
_LOG_SIZE = 256 * 1024


def load_socket_lookup(name: str, instructions: bytes) -> int:
    """The descriptor of a loaded program of type sk_lookup. Raises BpfError."""
    return load_program(name, _TYPE_SOCKET_LOOKUP, SOCKET_LOOKUP, instructions)


def load_program(name: str, kind: int, attach: int, instructions: bytes, functions: Sequence[int] = ()) -> int:
    """The descriptor of a loaded program. `kind` is its program type, `attach` the attach type that it will have.
    `functions` are the slots at which functions begin that it hands to helpers. Raises BpfError."""
    try:
        return _load(name, kind, attach, instructions, functions, None)
    except BpfError as error:
        if error.errno in (errno.EPERM, errno.ENOSYS, errno.E2BIG, errno.ENOMEM):
            raise
        number = error.errno or errno.EINVAL
    # Once more for the verifier's words, which cost too much to ask for where all is well.
    log = ctypes.create_string_buffer(_LOG_SIZE)
    try:
        return _load(name, kind, attach, instructions, functions, log)
    except BpfError as error:
        raise BpfError(error.doing, number, last_words(log.value.decode("ascii", "replace"))) from None


def last_words(log: str) -> str:
    """What the verifier refused and why: the last instruction of its log and the sentence after it."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("processed ", "verification time", "stack depth"))]
    return f"the kernel's verifier refuses it: {' / '.join(said[-2:])}" if said else ""


def _load(
    name: str,
    kind: int,
    attach: int,
    instructions: bytes,
    functions: Sequence[int],
    log: ctypes.Array[ctypes.c_char] | None,
) -> int:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    # The helpers used here are open to any licence; the kernel wants one named all the same.
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    records = _function_records(functions)
    kept = ctypes.create_string_buffer(records, max(1, len(records)))
    types = function_types() if records else -1
    try:
        attributes = struct.pack(
            "<IIQQIIQII16sIIIIQI",
            kind,
            len(instructions) // _SLOT,
            ctypes.addressof(code),
            ctypes.addressof(licence),
            0 if log is None else 1,
            0 if log is None else len(log),
            0 if log is None else ctypes.addressof(log),
            0,
            0,
            name.encode(),
            0,
            attach,
            max(types, 0),
            _FUNCTION_RECORD if records else 0,
            ctypes.addressof(kept) if records else 0,
            len(records) // _FUNCTION_RECORD,
        )
        return bpf(Command.PROGRAM_LOAD, attributes, f"load the BPF program {name}")
    finally:
        if types >= 0:
            os.close(types)


def _function_records(functions: Sequence[int]) -> bytes:
    """struct bpf_func_info of the program itself and of each function; none where there are no functions."""
    if not functions:
        return b""
    records = [(0, MAIN_FUNCTION), *((slot, CALLED_FUNCTION) for slot in functions)]
    return b"".join(struct.pack("<II", *record) for record in records)
