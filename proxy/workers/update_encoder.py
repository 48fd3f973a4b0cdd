"""Turns a plan's delta into the messages that workers take.

Invariants: the messages of a delta, applied one after the
other, are as safe as the delta itself; none is so large that a worker would hold up its clients over it, and none
brings more sockets than the kernel passes at a time.
"""

from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import TypeVar

import msgspec

from proxy.dataplane.messages import PoolRows, Update, pool_message
from proxy.plan.frontend import Delta, FrontendKey, Pool
from proxy.workers.row_ledger import RowLedger

MOST_SOCKETS = 50
"""A worker makes sockets of them in 0.3 ms. The kernel would pass 253 (SCM_MAX_FD of include/net/scm.h)."""
MOST_POOLS = 20
MOST_ENDPOINTS = 1000
"""Of all pools of a message, but for one that has more: about what a worker reads in one piece and copies in 0.2 ms. It
applies them in turns (proxy/dataplane/control_link.py)."""

Item = TypeVar("Item")


class UpdateEncoder:
    """Gives each pool its rows on the way. `size` is about how many bytes all pools of this moment take as messages."""

    def __init__(self, ledger: RowLedger) -> None:
        self.size = 0
        self._sizes: dict[str, int] = {}
        self._ledger = ledger
        self._encoder = msgspec.msgpack.Encoder()

    def messages(self, delta: Delta, opened: Collection[FrontendKey]) -> Iterator[Update]:
        """The delta in messages; `opened` are the frontends of it that get sockets, and the addresses of sockets that
        are no frontend's own."""
        for update in self._messages(delta, opened, self._ledger.hold):
            self._measure(update)
            yield update

    def everything(self, delta: Delta, opened: Collection[FrontendKey]) -> Iterator[Update]:
        """As `messages`, for a state that was told to others before: with the rows that its pools have now, however
        much has changed by the time at which a message is asked for."""
        rows_of = self._ledger.snapshot()
        return self._messages(delta, opened, lambda pool: rows_of(pool.key) or self._ledger.hold(pool))

    def _messages(
        self, delta: Delta, opened: Collection[FrontendKey], rows_of: Callable[[Pool], PoolRows]
    ) -> Iterator[Update]:
        for pools in _pools_in_parts(delta.pools):
            yield Update(pools=tuple(pool_message(pool, rows_of(pool), self._encoder) for pool in pools))
        for frontends in _parts(delta.frontends, MOST_SOCKETS):
            new = tuple(frontend.key for frontend in frontends if frontend.key in opened)
            yield Update(frontends=tuple(frontends), opened=new)
        for keys in _parts(delta.removed_frontends, MOST_SOCKETS):
            yield Update(removed_frontends=tuple(keys))
        for removed in _parts(delta.removed_pools, MOST_POOLS):
            for key in removed:
                self._ledger.drop(key)
            yield Update(removed_pools=tuple(removed))
        shared = tuple(set(opened).difference(frontend.key for frontend in delta.frontends)) if opened else ()
        if shared:
            # Last: a worker that is started anew knows every frontend before it takes the first client.
            yield Update(opened=shared, shared=shared)

    def _measure(self, update: Update) -> None:
        """Keep `size` true."""
        for pool in update.pools:
            size = len(pool.key) + memoryview(pool.body).nbytes
            self.size += size - self._sizes.get(pool.key, 0)
            self._sizes[pool.key] = size
        for key in update.removed_pools:
            self.size -= self._sizes.pop(key, 0)


def _pools_in_parts(pools: tuple[Pool, ...]) -> Iterator[list[Pool]]:
    part: list[Pool] = []
    endpoints = 0
    for pool in pools:
        if part and (len(part) == MOST_POOLS or endpoints + len(pool.targets) > MOST_ENDPOINTS):
            yield part
            part, endpoints = [], 0
        part.append(pool)
        endpoints += len(pool.targets)
    if part:
        yield part


def _parts(items: tuple[Item, ...], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part
