"""A pool as a worker holds it: encoded until the first client comes, a balancer from then on.

Of ten thousand Services a worker meets the clients of some; those of the others are told, changed and forgotten without
being looked at. Invariant: the pool is decoded at most once a version, and only where somebody uses it.
"""

from collections.abc import Callable

import msgspec

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.messages import CountedPool, PoolMessage


class LazyPool:
    """`usable` is whether any endpoint may get new flows; without one, clients are refused before they are accepted.
    `affinity_key` is what it shares with other pools, empty without affinity.
    `build` makes the balancer of a pool that is used for the first time; `built` is it, once there is one."""

    __slots__ = ("_body", "_build", "affinity_key", "built", "key", "usable")

    def __init__(self, message: PoolMessage, build: Callable[[CountedPool], Balancer]) -> None:
        self._body = b""
        self._build = build
        self.built: Balancer | None = None
        self.key = message.key
        self.affinity_key = message.affinity_key
        self.usable = message.usable
        self.take(message)

    def take(self, message: PoolMessage) -> None:
        """Adopt a newer version of a pool that was not built yet."""
        self.affinity_key = message.affinity_key
        self.usable = message.usable
        # A copy: a Raw is a view, which would keep the whole message it came with.
        self._body = bytes(message.body)

    def balancer(self) -> Balancer:
        """The balancer, made now if nobody asked before."""
        if self.built is None:
            self.built = self._build(decode_pool(self._body))
            self._body = b""
        return self.built


def decode_pool(body: bytes | msgspec.Raw) -> CountedPool:
    """The pool of a message's body."""
    return msgspec.msgpack.decode(body, type=CountedPool)
