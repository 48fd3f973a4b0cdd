"""What sh, dh and mh share: a table of buckets, each owned by one backend, and a key that names a bucket.

Invariant: the table is built at the first pick after a change of the pool, so a pool that
nobody uses costs nothing, and a pool that did not change is never built again.
"""

from abc import abstractmethod
from collections.abc import Collection
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler


class BucketScheduler(Scheduler):
    """The owner of the key's bucket, or None where that one has weight 0, as in the kernel without its fallback flag.

    A retry of the same flow (`without` is not empty) goes on to other buckets instead, as with the fallback flag
    (ip_vs_sh.c, ip_vs_sh_get_fallback), and finds a backend as long as there is a usable one.
    """

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.table: list[Backend] | None = None

    def rebuild(self) -> None:
        self.table = None

    def copy(self) -> Self:
        other = super().copy()
        other.table = self.table
        return other

    @abstractmethod
    def fill(self) -> list[Backend]:
        """The owner of every bucket; empty when no destination may own one."""

    @abstractmethod
    def bucket(self, key: int, offset: int, size: int) -> int:
        """The bucket of a key, of `size` in all; `offset` 0 is the first try."""

    def owners(self) -> list[Backend]:
        """The table as it is now."""
        if self.table is None:
            self.table = self.fill()
        return self.table

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        table = self.table
        if table is None:
            table = self.owners()
        if not table:
            return None
        first = self.bucket(key, 0, len(table))
        owner = table[first]
        if owner.weight > 0 and owner not in without:
            return owner
        return self._probe(table, key, first, without) if without else None

    def _probe(self, table: list[Backend], key: int, first: int, without: Collection[Backend]) -> Backend | None:
        left = [backend for backend in self.usable if backend not in without]
        if not left:
            return None
        size = len(table)
        for step in range(size):
            owner = table[self.bucket(key, (step + first) % size, size)]
            if owner.weight > 0 and owner not in without:
                return owner
        return left[0]
