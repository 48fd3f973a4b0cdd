"""ClientIP session affinity: which backend a client of a Service port met last.

Imports nothing of ours. One table a worker for all Services, the clock passed in. A hash table with chains and a line
of entries, both in flat arrays by slot number rather than in a dict: an entry is no object, so a million of them stay
small, add nothing to a garbage collection, and never have to be rehashed all at once. A look-up writes the time of use
and leaves the line alone, because relinking costs more cache misses than all the rest of it; who was used since it
lined up gets another turn when room is needed (the second chance of Corbató's clock). Invariant: never more than
`capacity` entries, and no operation touches more than a few of them.
"""

from array import array
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

_KEY_BYTES: Final = 20
_CLIENT_BITS: Final = 128
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

    __slots__ = ("evicted", "key", "timeout")

    def __init__(self, key: int, timeout: int, evicted: Callable[[], None] | None = None) -> None:
        self.evicted = evicted
        self.key = key
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
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._capacity = capacity
        self._groups: dict[int, AffinityGroup] = {}
        self._last_group = 0
        self._entries = self._hits = self._misses = self._evictions = self._expirations = 0
        buckets = 1 << (capacity - 1).bit_length()
        self._mask = buckets - 1
        self._first = array("I", bytes(4 * buckets))
        # By slot. Slot 0 is no entry but the two ends of the line (`_older[0]` joined it last, `_newer[0]` first) and
        # the end of every chain.
        self._keys = bytearray(_KEY_BYTES)
        self._chained = array("I", [0])
        self._older = array("I", [0])
        self._newer = array("I", [0])
        self._used = array("d", [0.0])
        self._lined_up = array("d", [0.0])
        self._backends = array("I", [0])
        self._free = 0

    def __len__(self) -> int:
        """Entries held, those included that have expired and were not asked for since."""
        return self._entries

    def statistics(self) -> AffinityStatistics:
        return AffinityStatistics(self._entries, self._hits, self._misses, self._evictions, self._expirations)

    def open_group(self, timeout: int, evicted: Callable[[], None] | None = None) -> AffinityGroup:
        """A new group without entries; `timeout` is sessionAffinityConfig.clientIP.timeoutSeconds."""
        self._last_group += 1
        group = AffinityGroup(self._last_group << _CLIENT_BITS, timeout, evicted)
        self._groups[self._last_group] = group
        return group

    def close_group(self, group: AffinityGroup) -> None:
        """End all entries of `group` at once; their memory is reclaimed as their turn comes."""
        del self._groups[group.key >> _CLIENT_BITS]
        group.timeout = 0

    def lookup(self, group: AffinityGroup, client: int, now: float) -> int:
        """The backend id that `client` is bound to, or 0. Being found counts as use and starts the timeout anew."""
        key = (group.key | client).to_bytes(_KEY_BYTES, "big")
        # `_find`, written out: the call would be a tenth of it.
        slot = self._first[hash(key) & self._mask]
        while slot and not self._keys.startswith(key, slot * _KEY_BYTES):
            slot = self._chained[slot]
        if not slot:
            self._misses += 1
            return 0
        if now - self._used[slot] >= group.timeout:
            self._expirations += 1
            self._misses += 1
            self._remove(slot, key)
            return 0
        self._hits += 1
        self._used[slot] = now
        return self._backends[slot]

    def peek(self, group: AffinityGroup, client: int, now: float) -> AffinityEntry | None:
        """What `lookup` would find, without being a use of it."""
        slot = self._find((group.key | client).to_bytes(_KEY_BYTES, "big"))
        return self._entry(slot, now) if slot else None

    def entries(self, now: float) -> Iterator[AffinityEntry | None]:
        """Every entry, the one that lined up last first; None in the place of one that has expired and was not asked
        for since. The table must not change meanwhile."""
        slot = self._older[0]
        while slot:
            yield self._entry(slot, now)
            slot = self._older[slot]

    def store(self, group: AffinityGroup, client: int, backend_id: int, now: float) -> None:
        """Bind `client` to a backend from now on, in the place of what it was bound to."""
        key = (group.key | client).to_bytes(_KEY_BYTES, "big")
        slot = self._find(key)
        if not slot:
            self._make_room(now)
            slot = self._insert(key, now)
        self._used[slot] = now
        self._backends[slot] = backend_id

    def forget(self, group: AffinityGroup, client: int) -> None:
        """Unbind `client`, because its backend refused it."""
        key = (group.key | client).to_bytes(_KEY_BYTES, "big")
        slot = self._find(key)
        if slot:
            self._remove(slot, key)

    def _entry(self, slot: int, now: float) -> AffinityEntry | None:
        number, client = divmod(int.from_bytes(self._key_of(slot), "big"), 1 << _CLIENT_BITS)
        group = self._groups.get(number)
        left = group.timeout - (now - self._used[slot]) if group is not None else 0.0
        if group is None or left <= 0:
            return None
        return AffinityEntry(group, client, self._backends[slot], left)

    def _find(self, key: bytes) -> int:
        # The hash of bytes is keyed by the interpreter, so clients cannot choose addresses that share a chain.
        slot = self._first[hash(key) & self._mask]
        while slot and not self._keys.startswith(key, slot * _KEY_BYTES):
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
        key = self._key_of(slot)
        group = self._groups.get(int.from_bytes(key, "big") >> _CLIENT_BITS)
        if group is not None and now - self._used[slot] < group.timeout:
            if self._used[slot] > self._lined_up[slot]:
                self._line_up_anew(slot, now)
            return False
        self._expirations += 1
        self._remove(slot, key)
        return True

    def _evict(self, now: float) -> None:
        for _ in range(_TURNS_PER_EVICTION):
            first = self._newer[0]
            if self._used[first] <= self._lined_up[first]:
                break
            self._line_up_anew(first, now)
        first = self._newer[0]
        self._evictions += 1
        key = self._key_of(first)
        group = self._groups.get(int.from_bytes(key, "big") >> _CLIENT_BITS)
        self._remove(first, key)
        if group is not None and group.evicted is not None:
            group.evicted()

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

    def _insert(self, key: bytes, now: float) -> int:
        slot = self._new_slot()
        self._keys[slot * _KEY_BYTES : (slot + 1) * _KEY_BYTES] = key
        bucket = hash(key) & self._mask
        self._chained[slot] = self._first[bucket]
        self._first[bucket] = slot
        self._line_up(slot, now)
        self._entries += 1
        return slot

    def _new_slot(self) -> int:
        slot = self._free
        if slot:
            self._free = self._chained[slot]
            return slot
        for column in (self._chained, self._older, self._newer, self._backends):
            column.append(0)
        self._used.append(0.0)
        self._lined_up.append(0.0)
        self._keys += bytes(_KEY_BYTES)
        return len(self._used) - 1

    def _remove(self, slot: int, key: bytes) -> None:
        chained = self._chained
        bucket = hash(key) & self._mask
        before = self._first[bucket]
        if before == slot:
            self._first[bucket] = chained[slot]
        else:
            while chained[before] != slot:
                before = chained[before]
            chained[before] = chained[slot]
        self._leave_line(slot)
        chained[slot] = self._free
        self._free = slot
        self._entries -= 1

    def _key_of(self, slot: int) -> bytes:
        return bytes(self._keys[slot * _KEY_BYTES : (slot + 1) * _KEY_BYTES])
