"""What a worker is told and what it answers, as it travels: msgpack, with sockets beside it.

Invariant: a pool is told as bytes that stay bytes
until its first client comes, so that ten thousand of them cost a worker next to nothing.
"""

import msgspec

from proxy.dataplane.question import Foresee, ListAffinity, ListConnections
from proxy.dataplane.relay_limits import RelayLimits
from proxy.plan.frontend import Frontend, FrontendKey, Pool
from proxy.privileges import Capability
from proxy.shared_counts.column import NO_ROW


class PoolRows(msgspec.Struct, frozen=True, array_like=True):
    """Where a pool is counted: its own row and one for each of its targets, in their order."""

    pool: int = NO_ROW
    endpoints: tuple[int, ...] = ()


class CountedPool(msgspec.Struct, frozen=True, array_like=True):
    """A pool and its rows."""

    pool: Pool
    rows: PoolRows


class PoolMessage(msgspec.Struct, frozen=True, array_like=True):
    """A pool that is new or another: what must be known before anybody uses it, and the rest (`CountedPool`) encoded.
    `affinity_key` is empty without affinity."""

    key: str
    usable: bool
    affinity_key: str
    body: msgspec.Raw


class Update(msgspec.Struct, frozen=True, array_like=True, tag="update"):
    """A delta, or a part of one: applying it in the order of its fields is safe. With it comes one
    socket for each of `opened`: the frontends of it that are new and have their own, and `shared`, the addresses of
    listening sockets through which the clients of all others come."""

    pools: tuple[PoolMessage, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    removed_frontends: tuple[FrontendKey, ...] = ()
    removed_pools: tuple[str, ...] = ()
    opened: tuple[FrontendKey, ...] = ()
    shared: tuple[FrontendKey, ...] = ()


def is_usable(pool: Pool) -> bool:
    """Whether any target may get new flows."""
    return any(target.weight > 0 for target in pool.targets)


def pool_message(pool: Pool, rows: PoolRows, encoder: msgspec.msgpack.Encoder) -> PoolMessage:
    """The message of a pool and its rows."""
    affinity_key = pool.affinity_key if pool.affinity_seconds else ""
    return PoolMessage(pool.key, is_usable(pool), affinity_key, msgspec.Raw(encoder.encode(CountedPool(pool, rows))))


class Settings(msgspec.Struct, frozen=True, array_like=True, tag="settings"):
    """The first message: who the worker is and what it may take. With it come the descriptors of the shared table and,
    where it is open, of the access log's file.

    It becomes `user`, unless that is empty, and keeps `capabilities` alone. `flows` is the most it may hold.
    `access_log` is a path, "-" for standard error, or empty; `access_log_sample` the share of ordinary endings in it.
    """

    column: int
    columns: int
    affinity_entries: int
    flows: int
    access_log: str
    access_log_sample: float
    log_format: str
    log_level: str
    limits: RelayLimits = RelayLimits()
    user: str = ""
    capabilities: tuple[Capability, ...] = ()


class NewAccessLog(msgspec.Struct, frozen=True, array_like=True, tag="access-log"):
    """The file of the access log was opened anew. Its descriptor comes with the message."""


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Answer: a worker that does not for some seconds is taken for hung."""


class Acknowledge(msgspec.Struct, frozen=True, tag=True):
    """Write what was counted; the answer says that all messages before this one are applied."""


class StopAccepting(msgspec.Struct, frozen=True, tag=True):
    """Take the TCP clients that wait and no more; the answer is how many connections are open."""


class AwaitEmpty(msgspec.Struct, frozen=True, tag=True):
    """Answer when no connection is open."""


class EndAll(msgspec.Struct, frozen=True, tag=True):
    """End everything that is open, with the close reason of this name; the answer is how many connections that were."""

    reason: str


Wish = Ping | Acknowledge | StopAccepting | AwaitEmpty | EndAll | ListConnections | ListAffinity | Foresee


class Request(msgspec.Struct, frozen=True, array_like=True, tag="request"):
    """Something that is answered by a `Reply` of the same number."""

    number: int
    wish: Wish


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """`answer` is an `Answer` to a question, a count, or nothing; also nothing for a question that failed."""

    number: int
    answer: msgspec.Raw


Message = Settings | Update | NewAccessLog | Request
