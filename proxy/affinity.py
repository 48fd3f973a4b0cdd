"""ClientIP session affinity: which backend a client of a Service port met last.

One table a worker for all Services, the clock passed in. A hash table with chains and a line of entries, both in flat
memory by slot number rather than in a dict: an entry is no object, so a million of them stay small, add nothing to a
garbage collection, and never have to be rehashed or moved. Each is one cache line, because half the time of a look-up
among a million is that of its cache misses. A client of 32 bits makes one word with its group, and that is the key; a
wider one takes two words and its group, in chains of its own. A look-up writes the time of use and leaves the line
alone, because relinking costs more cache misses than all the rest of it; who was used since it lined up gets another
turn when room is needed (the second chance of Corbató's clock). Invariant: never more than `capacity` entries, and no
operation touches more than a few of them.
"""

import math
import mmap
import os
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

MOST_ENTRIES: Final = 1_000_000_000
"""The largest capacity. Slots are numbers of 32 bits."""

_NARROW_BITS: Final = 32
_NARROW: Final = 0xFFFFFFFF
_WORD_BITS: Final = 64
_WORD: Final = 0xFFFFFFFFFFFFFFFF
_CLIENT_BITS: Final = 128
_ENTRY_BYTES: Final = 64
_MAP_NORESERVE: Final = 0x4000
_RECLAIMED_PER_STORE: Final = 2
_TURNS_PER_EVICTION: Final = 8


class AffinityStatistics(NamedTuple):
    """Counts of one table; all but `entries` only grow. `evictions` are live entries that made room for others,
    `expirations` entries that outlived their timeout or their group."""

    entries: int
    hits: int
    misses: int
    evictions: int
    expirations: int


class AffinityGroup:
    """The clients of one Service port and family.

    `timeout` is whole seconds since last use and may change at any time. An entry lives while its age is below it,
    which is kube-proxy's `int(age) < ttl`. `evicted` is called for each live entry that made room for another.
    """

    __slots__ = ("evicted", "key", "number", "timeout", "wide_key")

    def __init__(self, number: int, timeout: int, evicted: Callable[[], None] | None = None) -> None:
        self.evicted = evicted
        self.number = number
        self.key, self.wide_key = number << _NARROW_BITS, number << _CLIENT_BITS
        self.timeout = timeout


class AffinityEntry(NamedTuple):
    """One binding that is in force. `seconds_left` is what is left of the timeout if the client does not return."""

    group: AffinityGroup
    client: int
    backend_id: int
    seconds_left: float


class AffinityTable:
    """Maps (group, client) to a backend id, as the `recent` match and the timeout sets of kube-proxy do.

    A client is its address as an integer (IPv4 32 bits, IPv6 128); groups of the two families must be different
    ones. Backend ids are positive, below 2**32 and never given to another backend, so that the caller recognises the
    entry of a removed one by its unknown id. `now` is monotonic seconds.
    """

    def __init__(self, capacity: int = 1_000_000) -> None:
        if not 1 <= capacity <= MOST_ENTRIES:
            raise ValueError(f"capacity must be from 1 to {MOST_ENTRIES}, not {capacity}")
        self._capacity = capacity
        self._groups: dict[int, AffinityGroup] = {}
        self._last_group = 0
        self._entries = self._hits = self._misses = self._evictions = self._expirations = 0
        # Two buckets an entry or more, since every other step along a chain is a cache miss. Their number is a secret
        # prime: clients share a chain only where it divides the difference of their keys, which has few prime factors
        # of that size, so that nobody can choose addresses that do (Karp and Rabin, Efficient Randomized
        # Pattern-Matching Algorithms, 1987). A remainder is the quickest hash there is, and leaves neighbours together.
        self._buckets = _secret_prime(2 * capacity)
        self._first = _memory(4 * self._buckets).cast("I")
        self._first_wide = _memory(4 * self._buckets).cast("I")
        # By slot. Slot 0 is no entry but the two ends of the line (`_older[0]` joined it last, `_newer[0]` first) and
        # the end of every chain.
        self._slots = 1
        entries = _memory(_ENTRY_BYTES * (capacity + 1))
        words, times, numbers = entries.cast("Q"), entries.cast("d"), entries.cast("I")
        self._low, self._high = words[0::8], words[1::8]
        self._used, self._lined_up = times[2::8], times[3::8]
        self._backends, self._chained = numbers[8::16], numbers[9::16]
        self._group_numbers, self._is_wide = numbers[10::16], numbers[11::16]
        self._older, self._newer = numbers[12::16], numbers[13::16]
        self._free = 0

    def __len__(self) -> int:
        """Entries held, those included that have expired and were not asked for since."""
        return self._entries

    def statistics(self) -> AffinityStatistics:
        return AffinityStatistics(self._entries, self._hits, self._misses, self._evictions, self._expirations)

    def open_group(self, timeout: int, evicted: Callable[[], None] | None = None) -> AffinityGroup:
        """A new group without entries; `timeout` is sessionAffinityConfig.clientIP.timeoutSeconds."""
        self._last_group += 1
        group = AffinityGroup(self._last_group, timeout, evicted)
        self._groups[self._last_group] = group
        return group

    def close_group(self, group: AffinityGroup) -> None:
        """End all entries of `group` at once; their memory is reclaimed as their turn comes."""
        del self._groups[group.number]
        group.timeout = 0

    def lookup(self, group: AffinityGroup, client: int, now: float) -> int:
        """The backend id that `client` is bound to, or 0. Being found counts as use and starts the timeout anew."""
        # `_find`, written out: the call would be a fifth of it.
        if client > _NARROW:
            slot = self._find_wide(group, client)
        else:
            key, low = group.key | client, self._low
            slot = self._first[key % self._buckets]
            while slot and low[slot] != key:
                slot = self._chained[slot]
        if not slot:
            self._misses += 1
            return 0
        used = self._used
        if now - used[slot] >= group.timeout:
            self._expirations += 1
            self._misses += 1
            self._remove(slot)
            return 0
        self._hits += 1
        used[slot] = now
        return self._backends[slot]

    def peek(self, group: AffinityGroup, client: int, now: float) -> AffinityEntry | None:
        """What `lookup` would find, without being a use of it."""
        slot = self._find(group, client)
        return self._entry(slot, now) if slot else None

    def entries(self, now: float) -> Iterator[AffinityEntry | None]:
        """Every entry, the one that lined up last first; None in the place of one that has expired and was not asked
        for since. The table may change meanwhile: each place of it is given once."""
        seen: set[int] = set()
        slot = self._older[0]
        while slot:
            if slot not in seen:
                seen.add(slot)
                yield self._entry(slot, now)
                if not self._is_in_line(slot):
                    # It left, and what it knew of its neighbours may be of another line.
                    slot = 0
            slot = self._older[slot]

    def store(self, group: AffinityGroup, client: int, backend_id: int, now: float) -> None:
        """Bind `client` to a backend from now on, in the place of what it was bound to."""
        slot = self._find(group, client)
        if not slot:
            self._make_room(now)
            slot = self._insert(group, client, now)
        self._used[slot] = now
        self._backends[slot] = backend_id

    def forget(self, group: AffinityGroup, client: int) -> None:
        """Unbind `client`, because its backend refused it."""
        slot = self._find(group, client)
        if slot:
            self._remove(slot)

    def _entry(self, slot: int, now: float) -> AffinityEntry | None:
        group = self._groups.get(self._group_numbers[slot])
        left = group.timeout - (now - self._used[slot]) if group is not None else 0.0
        if group is None or left <= 0:
            return None
        return AffinityEntry(group, self._client_of(slot), self._backends[slot], left)

    def _find(self, group: AffinityGroup, client: int) -> int:
        if client > _NARROW:
            return self._find_wide(group, client)
        key, low = group.key | client, self._low
        slot = self._first[key % self._buckets]
        while slot and low[slot] != key:
            slot = self._chained[slot]
        return slot

    def _find_wide(self, group: AffinityGroup, client: int) -> int:
        low, high, number = client & _WORD, client >> _WORD_BITS, group.number
        slot = self._first_wide[(group.wide_key | client) % self._buckets]
        while slot and (self._low[slot] != low or self._high[slot] != high or self._group_numbers[slot] != number):
            slot = self._chained[slot]
        return slot

    def _make_room(self, now: float) -> None:
        """Reclaim the first in line while they have expired, a few at most; where the table is full all the same, evict
        the first that was not used since it lined up."""
        for _ in range(_RECLAIMED_PER_STORE):
            first = self._newer[0]
            if not first or not self._reclaim(first, now):
                break
        if self._entries == self._capacity:
            self._evict(now)

    def _reclaim(self, slot: int, now: float) -> bool:
        """Remove an entry if it has expired; one that is alive and was used goes to the end of the line."""
        group = self._groups.get(self._group_numbers[slot])
        if group is not None and now - self._used[slot] < group.timeout:
            if self._used[slot] > self._lined_up[slot]:
                self._line_up_anew(slot, now)
            return False
        self._expirations += 1
        self._remove(slot)
        return True

    def _evict(self, now: float) -> None:
        for _ in range(_TURNS_PER_EVICTION):
            first = self._newer[0]
            if self._used[first] <= self._lined_up[first]:
                break
            self._line_up_anew(first, now)
        first = self._newer[0]
        self._evictions += 1
        group = self._groups.get(self._group_numbers[first])
        self._remove(first)
        if group is not None and group.evicted is not None:
            group.evicted()

    def _is_in_line(self, slot: int) -> bool:
        older, newer = self._older[slot], self._newer[slot]
        return self._newer[older] == slot and self._older[newer] == slot

    def _line_up_anew(self, slot: int, now: float) -> None:
        self._leave_line(slot)
        self._line_up(slot, now)

    def _line_up(self, slot: int, now: float) -> None:
        last = self._older[0]
        self._older[slot] = last
        self._newer[last] = slot
        self._newer[slot] = 0
        self._older[0] = slot
        self._lined_up[slot] = now

    def _leave_line(self, slot: int) -> None:
        older, newer = self._older[slot], self._newer[slot]
        self._newer[older] = newer
        self._older[newer] = older

    def _insert(self, group: AffinityGroup, client: int, now: float) -> int:
        slot = self._new_slot()
        self._group_numbers[slot] = group.number
        self._is_wide[slot] = client > _NARROW
        self._low[slot] = client & _WORD if client > _NARROW else group.key | client
        self._high[slot] = client >> _WORD_BITS
        first, bucket = self._chain_of(slot)
        self._chained[slot] = first[bucket]
        first[bucket] = slot
        self._line_up(slot, now)
        self._entries += 1
        return slot

    def _chain_of(self, slot: int) -> tuple["memoryview[int]", int]:
        """Where the chain of an entry begins."""
        if self._is_wide[slot]:
            key = self._group_numbers[slot] << _CLIENT_BITS | self._client_of(slot)
            return self._first_wide, key % self._buckets
        return self._first, self._low[slot] % self._buckets

    def _client_of(self, slot: int) -> int:
        low = self._low[slot]
        return self._high[slot] << _WORD_BITS | low if self._is_wide[slot] else low & _NARROW

    def _new_slot(self) -> int:
        slot = self._free
        if slot:
            self._free = self._chained[slot]
            return slot
        self._slots += 1
        return self._slots - 1

    def _remove(self, slot: int) -> None:
        chained = self._chained
        first, bucket = self._chain_of(slot)
        before = first[bucket]
        if before == slot:
            first[bucket] = chained[slot]
        else:
            while chained[before] != slot:
                before = chained[before]
            chained[before] = chained[slot]
        self._leave_line(slot)
        chained[slot] = self._free
        self._free = slot
        self._entries -= 1


def _memory(size: int) -> memoryview:
    """`size` zeroed bytes, of which the kernel gives a page when it is first written to. Huge pages would spare a tenth
    of a look-up, but each is given, and zeroed, at one go, which can take milliseconds in a virtual machine."""
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE))


def _secret_prime(least: int) -> int:
    """A random prime of at least `least`, which is even, and below one and a half of it, where there is always one (El
    Bachraoui, Primes in the Interval [2n, 3n], 2006)."""
    while True:
        number = least + int.from_bytes(os.urandom(8), "big") % (least // 2)
        if all(number % divisor for divisor in range(2, math.isqrt(number) + 1)):
            return number
