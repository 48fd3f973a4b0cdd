"""Node ports, given out as the API server's allocator gives them.

Invariant: a number is out at most once, whatever the protocol, as the API server's bitmap is keyed by number alone.
"""

from random import Random

from proxy.cluster.allocation_error import AlreadyAllocatedError, OutsideRangeError
from proxy.cluster.number_pool import NumberPool


class NodePortAllocator:
    """The ports `first`..`last`, both included. Bands as pkg/registry/core/service/portallocator (KEP-3668)."""

    def __init__(self, first: int = 30000, last: int = 32767, *, random: Random) -> None:
        if not 1 <= first <= last <= 65535:
            raise ValueError(f"{first}-{last} is no range of ports")
        self.first = first
        self.last = last
        ports = last - first + 1
        self._pool = NumberPool(ports, static_band(ports), random)

    def allocate(self) -> int:
        """A free port; raises RangeFullError."""
        return self.first + self._pool.allocate()

    def reserve(self, port: int) -> None:
        """Take `port`, of either band; raises OutsideRangeError or AlreadyAllocatedError."""
        if not self.first <= port <= self.last:
            raise OutsideRangeError(
                f"provided port is not in the valid range. The range of valid ports is {self.first}-{self.last}"
            )
        if not self._pool.take(port - self.first):
            raise AlreadyAllocatedError("provided port is already allocated")

    def release(self, port: int) -> None:
        """Take `port` back."""
        self._pool.release(port - self.first)


def static_band(ports: int) -> int:
    """How many ports at the start of a range of `ports` are spared for explicit requests."""
    return 0 if ports <= 16 else min(max(16, ports // 32), 128)
