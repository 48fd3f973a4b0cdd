"""The bucket table of sh and dh: destinations dealt into buckets round after round (ip_vs_sh.c, ip_vs_dh.c).

Invariant: every destination owns a bucket. The kernel has 256 buckets, or more by CONFIG_IP_VS_SH_TAB_BITS; here the
table is 256 while one round fits and grows by powers of two beyond, because in a table that one round overflows the
oldest backends would never be chosen.
"""

from abc import abstractmethod
from math import gcd

from proxy.schedulers.backend import Backend
from proxy.schedulers.bucket_scheduler import BucketScheduler
from proxy.schedulers.hashing import hash_32

LEAST_BITS = 8
MOST_BITS = 16


class RoundTableScheduler(BucketScheduler):
    """Owns its buckets in list order, each destination `share` of them a round and at least one."""

    @abstractmethod
    def share(self, backend: Backend) -> int:
        """How many buckets a round a destination asks for; 0 counts as 1."""

    def fill(self) -> list[Backend]:
        turns = self._turns()
        dealt = [backend for backend, count in zip(self.destinations, turns, strict=True) for _ in range(count)]
        if not dealt:
            return []
        size = 1 << max(LEAST_BITS, (len(dealt) - 1).bit_length())
        return (dealt * (size // len(dealt) + 1))[:size]

    def bucket(self, key: int, offset: int, size: int) -> int:
        return (offset + hash_32(key, size.bit_length() - 1)) & (size - 1)

    def _turns(self) -> list[int]:
        """The shares, made smaller in proportion where a round would not fit the usual table."""
        shares = [self.share(backend) for backend in self.destinations]
        total = sum(max(1, share) for share in shares)
        if total <= 1 << LEAST_BITS:
            return [max(1, share) for share in shares]
        divisor = gcd(*shares) or 1
        excess = max(0, (total // divisor).bit_length() - MOST_BITS)
        return [max(1, share // divisor >> excess) for share in shares]
