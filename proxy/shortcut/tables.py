"""Writes pools and frontends into the maps that the programs read.

A change takes force by one store: the new slots are written first, then the word that says where they are. Invariants:
a program that reads during a change sees the pool as it was or as it will be; a number is given out anew only when
nothing counts under it any more and GRACE has passed.
"""

import os
import platform
import struct
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import count
from random import getrandbits

from proxy.plan.frontend import Frontend, FrontendKey, Pool
from proxy.shortcut.layout import (
    OWN_NAMESPACE_POOL,
    CountField,
    EndpointField,
    FrontendFlag,
    PoolField,
    family_of,
    frontend_key,
    packed,
)
from proxy.shortcut.maps import Maps
from proxy.shortcut.numbers import Numbers, OutOfNumbersError, Stretches
from proxy.shortcut.pool_slots import Place, Slots, SlotWriter

_ORDERED = platform.machine() in ("x86_64", "i686")
"""Whether the machine shows stores to other cores in the order in which they were made."""


class PoolEntry:
    """One pool in the tables. `endpoints` are the numbers of its endpoints, which name their counts as well."""

    __slots__ = ("endpoints", "first", "group", "length", "number", "pool", "writer")

    def __init__(self, number: int, pool: Pool) -> None:
        self.number = number
        self.pool = pool
        self.first = self.length = self.group = 0
        self.endpoints: dict[Place, int] = {}
        self.writer = SlotWriter(pool.scheduler)


class Tables:
    """`clock` gives monotonic seconds."""

    def __init__(self, maps: Maps, clock: Callable[[], float]) -> None:
        self._maps = maps
        self._clock = clock
        self._pool_numbers = Numbers(maps.capacities.pools)
        self._endpoint_numbers = Numbers(maps.capacities.endpoints)
        self._stretches = Stretches(maps.capacities.slots)
        self._groups: dict[str, int] = {}
        self._group_numbers = count(1)
        # Sockets that a former process counted bear its generations: these are others, but for a rare chance.
        self._generations = count(getrandbits(32))
        self._entries: dict[str, PoolEntry] = {}
        self._by_number: dict[int, PoolEntry] = {}
        self._by_endpoint: dict[int, tuple[PoolEntry, Place]] = {}
        self._departing: dict[int, tuple[str, Place]] = {}
        self._left: dict[tuple[str, Place], int] = {}

    @property
    def entries(self) -> Mapping[str, PoolEntry]:
        """The pools that are in the tables, by their keys."""
        return self._entries

    @property
    def pools_used(self) -> int:
        """How many places at the beginning of the pools' array are or were in use."""
        return self._pool_numbers.used

    def pool_at(self, number: int) -> PoolEntry | None:
        """The pool that has the number."""
        return self._by_number.get(number)

    def endpoint(self, number: int, generation: int) -> tuple[Pool, Place] | None:
        """The pool and place of an endpoint that is still there. `generation` is that of its counts."""
        found = self._by_endpoint.get(number)
        counts = self._maps.counts
        if found is None or counts.halves[counts.half(number, CountField.GENERATION)] != generation:
            return None
        return found[0].pool, found[1]

    @property
    def departing(self) -> Collection[int]:
        """The numbers of endpoints that have left, and under which something may be counted."""
        return self._departing

    def put_pool(self, pool: Pool, failing: Collection[Place] = ()) -> bool:
        """Add a pool or replace it. Gives whether it is in the tables: it is not where they are full."""
        entry = self._entries.get(pool.key)
        try:
            if entry is None:
                entry = self._entries[pool.key] = PoolEntry(self._pool_numbers.take(self._clock()), pool)
                self._by_number[entry.number] = entry
            if entry.writer.scheduler != pool.scheduler:
                entry.writer = SlotWriter(pool.scheduler)
            entry.pool = pool
            self._write(entry, failing)
        except OutOfNumbersError:
            self.remove_pool(pool.key)
            return False
        return True

    def remove_pool(self, key: str) -> None:
        """Take a pool out; that it is not there is fine. Its frontends must be gone."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._maps.pools.words[self._maps.pools.word(entry.number, PoolField.IN_FORCE)] = 0
        for number in entry.endpoints.values():
            self._leave(number)
        if entry.length:
            self._stretches.put_back(entry.first, entry.length, self._clock())
        del self._by_number[entry.number]
        self._pool_numbers.put_back(entry.number, self._clock())

    def put_frontends(self, frontends: Iterable[Frontend]) -> None:
        """Add frontends or replace them, in one step. Their pools are in the tables. Raises BpfError."""
        self._maps.frontends.update_all(
            {
                frontend_key(*each.key): struct.pack("=II", self._entries[each.pool].number, _frontend_flags(each))
                for each in frontends
            }
        )

    def remove_frontend(self, key: FrontendKey) -> None:
        """Leave the clients of this address to the listener; that it is not there is fine. Raises BpfError."""
        self._maps.frontends.delete(frontend_key(*key))

    def release_departed(self, is_used: Callable[[int], bool]) -> None:
        """Give numbers of endpoints that have gone back, once nothing is counted under them."""
        for number in [each for each in self._departing if not is_used(each)]:
            del self._left[self._departing.pop(number)]
            self._endpoint_numbers.put_back(number, self._clock())

    def _write(self, entry: PoolEntry, failing: Collection[Place]) -> None:
        pool, pools = entry.pool, self._maps.pools
        before = entry.endpoints
        entry.endpoints = {}
        for target in pool.targets:
            place = (target.address, target.port)
            number = before.pop(place, None)
            entry.endpoints[place] = self._join(entry, place) if number is None else number
        old = entry.first, entry.length
        slots = entry.writer.slots(pool, failing, pools.words[pools.word(entry.number, PoolField.TURN)])
        self._write_slots(entry, slots)
        self._write_options(entry, slots)
        if not _ORDERED:
            os.getppid()  # Any system call is a barrier.
        pools.words[pools.word(entry.number, PoolField.IN_FORCE)] = entry.first | entry.length << 32
        if old[1]:
            self._stretches.put_back(*old, self._clock())
        for number in before.values():
            self._leave(number)

    def _write_slots(self, entry: PoolEntry, slots: Slots) -> None:
        words = array("Q", (entry.endpoints[place] | weight << 32 for place, weight in slots.slots))
        entry.length = len(words)
        entry.first = self._stretches.take(len(words), self._clock()) if words else 0
        self._maps.slots.words[entry.first : entry.first + len(words)] = memoryview(words)

    def _write_options(self, entry: PoolEntry, slots: Slots) -> None:
        pool, pools = entry.pool, self._maps.pools
        entry.group = self._group(pool.affinity_key)
        flags = OWN_NAMESPACE_POOL if any(_is_loopback(target.address) for target in pool.targets) else 0
        rule = int(slots.rule) | slots.hash_bits << 8 | flags << 32
        pools.words[pools.word(entry.number, PoolField.RULE)] = rule
        pools.words[pools.word(entry.number, PoolField.AFFINITY_NANOSECONDS)] = pool.affinity_seconds * 10**9
        pools.words[pools.word(entry.number, PoolField.AFFINITY_GROUP)] = entry.group

    def _group(self, affinity_key: str) -> int:
        """The number by which pools share what is remembered of clients. A name keeps its number for good: 50 bytes."""
        number = self._groups.get(affinity_key)
        if number is None:
            number = self._groups[affinity_key] = next(self._group_numbers)
        return number

    def _join(self, entry: PoolEntry, place: Place) -> int:
        """A number for an endpoint. One that left not long ago has its number again, and so what is counted of it."""
        endpoints = self._maps.endpoints
        generation = (next(self._generations) & 0xFFFFFFFF) or (next(self._generations) & 0xFFFFFFFF)
        number = self._left.pop((entry.pool.key, place), -1)
        if number >= 0:
            del self._departing[number]
        else:
            number = self._endpoint_numbers.take(self._clock())
            self._clear_counts(number, generation)
        address, port = place
        text = packed(address) + struct.pack(">H", port) + struct.pack("=H", family_of(address))
        start = number * endpoints.size
        endpoints.bytes[start : start + len(text)] = text
        endpoints.halves[endpoints.half(number, EndpointField.GENERATION)] = generation
        self._by_endpoint[number] = entry, place
        return number

    def _clear_counts(self, number: int, generation: int) -> None:
        counts = self._maps.counts
        counts.words[counts.word(number, 0) : counts.word(number + 1, 0)] = memoryview(array("Q", bytes(counts.size)))
        counts.halves[counts.half(number, CountField.GENERATION)] = generation

    def _leave(self, number: int) -> None:
        """The endpoint is chosen no more. Its number stays taken as long as something is counted under it."""
        endpoints = self._maps.endpoints
        endpoints.halves[endpoints.half(number, EndpointField.GENERATION)] = 0
        entry, place = self._by_endpoint.pop(number)
        self._departing[number] = entry.pool.key, place
        self._left[entry.pool.key, place] = number


def _frontend_flags(frontend: Frontend) -> int:
    flags = FrontendFlag(0)
    if frontend.when_empty == "drop":
        flags |= FrontendFlag.EMPTY_PASSES
    if _is_loopback(frontend.key.address):
        flags |= FrontendFlag.OWN_NAMESPACE
    return flags


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
