"""SocketLookup: the program in force, and the tables it decides by.

Invariants: an entry is changed in one step, so that no client meets half of a change; source ranges are in force before
the entry that asks for them; nothing stays attached after `close` or the process's end.
"""

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.bpf_map import BpfMap, MapKind
from proxy.bpf.lookup_entry import (
    DROPS_SIZE,
    KEY_SIZE,
    RANGE_KEY_SIZE,
    RANGE_VALUE,
    RANGE_VALUE_SIZE,
    VALUE_SIZE,
    entry_key,
    entry_value,
    family_of,
    range_key,
)
from proxy.bpf.lookup_program import lookup_program
from proxy.bpf.namespace_link import link_to_namespace
from proxy.bpf.program import load_socket_lookup
from proxy.bpf.verdict import SLOTS, Verdict, slot_of

COUNTED = 65_536
"""So many entries count whom they ignore; those beyond do so uncounted."""

CAPACITY = 262_144
"""The most entries, and the most source ranges of all entries together; an empty table of this size takes 4 MiB."""


class Entry(NamedTuple):
    """One address and port of "TCP" or "UDP", and what becomes of its clients. `source_ranges` are CIDRs: a client
    from outside them is ignored; an empty tuple lets everybody in. Packets of ignored clients are counted."""

    protocol: str
    address: str
    port: int
    verdict: Verdict
    source_ranges: tuple[str, ...] = ()


class SocketLookup:
    """In force in this process's network namespace from its making until `close`. Methods raise BpfError."""

    def __init__(self) -> None:
        with contextlib.ExitStack() as stack:
            self._entries = _map(stack, "svc_entries", MapKind.HASH, KEY_SIZE, VALUE_SIZE, CAPACITY)
            self._ranges = _map(stack, "svc_ranges", MapKind.PREFIXES, RANGE_KEY_SIZE, RANGE_VALUE_SIZE, CAPACITY)
            self._sockets = _map(stack, "svc_sockets", MapKind.SOCKETS, 4, 4, SLOTS)
            self._drops = _map(stack, "svc_drops", MapKind.HASH, KEY_SIZE, DROPS_SIZE, COUNTED)
            self._maps = (self._entries, self._ranges, self._sockets, self._drops)
            program = load_socket_lookup("svc_lookup", lookup_program(*(each.descriptor for each in self._maps)))
            try:
                self._link = link_to_namespace(program)
            finally:
                os.close(program)
            stack.pop_all()
        self._numbers = count(1)
        self._ranges_of: dict[bytes, list[bytes]] = {}
        self._counted: set[bytes] = set()

    def assign(self, protocol: str, verdict: Verdict, sock: socket.socket) -> None:
        """Give clients with this verdict to `sock`, a listening TCP socket or a bound UDP one, and to those that share
        its port by SO_REUSEPORT. It has to stay open: the kernel forgets a socket that is closed."""
        slot = struct.pack("<I", slot_of(protocol, sock.family, verdict))
        self._sockets.update(slot, struct.pack("<I", sock.fileno()))

    def withdraw(self, protocol: str, family: socket.AddressFamily, verdict: Verdict) -> None:
        """Refuse clients with this verdict from now on, whatever their entries say; open connections stay."""
        self._sockets.delete(struct.pack("<I", slot_of(protocol, family, verdict)))

    def put(self, entries: Iterable[Entry]) -> None:
        """Add entries or replace them, many in one step. Where the kernel takes one of them not, it may have taken
        others."""
        values: dict[bytes, bytes] = {}
        ranges: dict[bytes, list[bytes]] = {}
        for entry in entries:
            key = entry_key(entry.protocol, entry.address, entry.port)
            # Nobody is in a list of ranges that is empty, which is how an entry ignores everybody and counts them.
            is_choosy = entry.source_ranges or entry.verdict is Verdict.IGNORED
            number = self._admit(key, entry, ranges) if is_choosy else 0
            values[key] = entry_value(entry.protocol, entry.address, entry.verdict, number)
        try:
            self._write(values, ranges)
        except BpfError:
            # Entries that came before the one that failed read their new ranges, so both lists stay until they go.
            for key, prefixes in ranges.items():
                self._ranges_of[key] = [*self._ranges_of.get(key, ()), *prefixes]
            raise
        for key in values:
            self._forget_ranges(key)
        self._ranges_of |= ranges

    def _write(self, values: Mapping[bytes, bytes], ranges: Mapping[bytes, Sequence[bytes]]) -> None:
        self._count(ranges)
        self._ranges.update_all({prefix: RANGE_VALUE for prefixes in ranges.values() for prefix in prefixes})
        self._entries.update_all(values)

    def remove(self, protocol: str, address: str, port: int) -> None:
        """Leave the clients of this address and port to whoever listens there, as if there had been no entry."""
        key = entry_key(protocol, address, port)
        self._entries.delete(key)
        self._forget_ranges(key)
        if key in self._counted:
            self._counted.discard(key)
            self._drops.delete(key)

    def dropped(self, protocol: str, address: str, port: int) -> int:
        """How many packets for this address and port came from clients whom its entry ignores, since it was put."""
        count = self._drops.value_of(entry_key(protocol, address, port))
        return int.from_bytes(count, sys.byteorder) if count is not None else 0

    def close(self) -> None:
        """Detach; connections that exist go on."""
        if self._link >= 0:
            os.close(self._link)
            self._link = -1
        for each in self._maps:
            each.close()

    def _admit(self, key: bytes, entry: Entry, ranges: dict[bytes, list[bytes]]) -> int:
        """Note the prefixes of the entry's family under a new number, so that the old ones hold until the switch.
        Raises ValueError for text that is no CIDR."""
        number = next(self._numbers)
        is_ipv6 = family_of(entry.address) is socket.AF_INET6
        let_in = entry.source_ranges if entry.verdict is not Verdict.IGNORED else ()
        ranges[key] = [range_key(number, cidr) for cidr in let_in if (":" in cidr) == is_ipv6]
        return number

    def _count(self, keys: Iterable[bytes]) -> None:
        """Let the entries count from now on, from nothing or from where they are."""
        new = [key for key in keys if key not in self._counted][: COUNTED - len(self._counted)]
        self._drops.update_all(dict.fromkeys(new, bytes(DROPS_SIZE)))
        self._counted.update(new)

    def _forget_ranges(self, key: bytes) -> None:
        for prefix in self._ranges_of.pop(key, ()):
            self._ranges.delete(prefix)


def _map(
    stack: contextlib.ExitStack, name: str, kind: MapKind, key_size: int, value_size: int, capacity: int
) -> BpfMap:
    made = BpfMap(name, kind, key_size, value_size, capacity)
    stack.callback(made.close)
    return made
