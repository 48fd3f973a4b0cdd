"""mh: Maglev hashing of the client's address (net/netfilter/ipvs/ip_vs_mh.c; Eisenbud et al., NSDI 2016, section 3.4).

Every backend has its own permutation of the table's places, and backends take turns at their
next free place. Invariant: a backend that joins or leaves moves few clients of others, and one drained to weight 0
moves none, because it keeps the places of its last weight.
"""

from collections.abc import Sequence
from math import gcd
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.bucket_scheduler import BucketScheduler
from proxy.schedulers.hashing import client_hash, endpoint_hashes
from proxy.schedulers.scheduler import KeyedBy

PRIMES = (4093, 8191, 16381, 32749, 65521, 131071)
"""Table sizes: the kernel's default and its larger ones, for pools whose turns do not fit the default. The kernel has
one size, chosen when it was built; the endpoints that find no place there get no clients."""

TURN_BITS = 6
"""Turns of the heaviest backend stay below 2 ** TURN_BITS (CONFIG_IP_VS_MH_TAB_INDEX / 2)."""


class Maglev(BucketScheduler):
    """By source address, with little movement when the pool changes and places in proportion to the weights."""

    name = "mh"
    keyed_by = KeyedBy.SOURCE

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.last_weights: dict[Backend, int] = {}

    def rebuild(self) -> None:
        super().rebuild()
        known = self.last_weights
        self.last_weights = {backend: backend.weight or known.get(backend, 0) for backend in self.destinations}

    def copy(self) -> Self:
        other = super().copy()
        other.last_weights = self.last_weights
        return other

    def bucket(self, key: int, offset: int, size: int) -> int:
        return client_hash(key + offset) % size

    def fill(self) -> list[Backend]:
        turns = self._turns()
        if not turns:
            return []
        total = sum(turns.values())
        size = next((prime for prime in PRIMES if prime >= total), PRIMES[-1])
        owners = populate([(*endpoint_hashes(b.address, b.port), count) for b, count in turns.items()], size)
        backends = list(turns)
        return [backends[owner] for owner in owners]

    def _turns(self) -> dict[Backend, int]:
        """How many places in a row each backend takes; one that never had a weight takes none."""
        weights = {backend: weight for backend, weight in self.last_weights.items() if weight > 0}
        divisor = gcd(*weights.values()) or 1
        shift = max(0, (max(weights.values(), default=0) // divisor).bit_length() - TURN_BITS)
        return {backend: max(1, weight // divisor >> shift) for backend, weight in weights.items()}


def populate(contenders: Sequence[tuple[int, int, int]], size: int) -> list[int]:
    """The Maglev table: for each of `size` places (a prime) the index of its owner.

    A contender is (first hash, second hash, turns): it starts at the first hash modulo the size and goes on in steps of
    the second modulo the size less one, plus one.
    """
    owners = [-1] * size
    places = [first % size for first, _, _ in contenders]
    skips = [second % (size - 1) + 1 for _, second, _ in contenders]
    queue = [index for index, (_, _, turns) in enumerate(contenders) for _ in range(turns)]
    for taken in range(size):
        index = queue[taken % len(queue)]
        place, skip = places[index], skips[index]
        while owners[place] >= 0:
            place = (place + skip) % size
        owners[place] = index
        places[index] = place
    return owners
