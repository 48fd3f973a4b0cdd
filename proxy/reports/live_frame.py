"""What the stream sends: the page's picture of the proxy, whole or as what changed.

Values of which there are hundreds of thousands are none of the garbage collector's business (`gc=False`): they refer to
nothing that could refer to them, and looking through them would hold the loop. Invariant: a reader that merges every
delta into the snapshot before it holds what a new snapshot would say.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import msgspec

from proxy.model.problem import Problem
from proxy.reports.recent_changes import Change
from proxy.reports.report import WorkerReport


class EndpointCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One endpoint's counts over all workers: flows open, half closed; 1 if it refuses; flows it took, flows it did
    not take; bytes from clients, bytes to clients. The last four only grow while the pool has the endpoint."""

    active: int = 0
    inactive: int = 0
    failing: int = 0
    opened: int = 0
    failed: int = 0
    received: int = 0
    sent: int = 0


PoolCounts = dict[int, EndpointCounts]
"""By the endpoint's place in its pool; one that is not there has not changed, or in a snapshot has counted nothing."""


class AddressView(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One frontend: its kind, protocol, address and port, and why it does not listen."""

    kind: str
    protocol: str
    address: str
    port: int
    fault: str


class EndpointView(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One endpoint of a pool; its counts come apart."""

    address: str
    port: int
    pod: str
    weight: int


class PoolView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The endpoints of one Service port in one family."""

    key: str
    port_name: str
    protocol: str
    scheduler: str
    affinity_seconds: int
    endpoints: tuple[EndpointView, ...]


class ServiceView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One Service as the page shows it. `level` is as level_of says; `state` says it in words, `paths`
    are the ways of its packets."""

    namespace: str
    name: str
    type: str
    ports: str
    created: str
    level: str
    state: str
    addresses: tuple[AddressView, ...]
    pools: tuple[PoolView, ...]
    paths: tuple[str, ...] = ()


class ProxyView(msgspec.Struct, frozen=True, rename="camel"):
    """The proxy itself. `known_state_of` is as in ProxyStatistics."""

    version: str
    ready: bool
    draining: bool
    known_state_of: str
    frontends: int
    tcp_connections: int
    udp_flows: int
    affinity_entries: int


_AT_A_TIME = 20


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message. `time` is seconds since the epoch, `interval` the seconds that the counts' growth took.

    `services` are by namespace/name, None where one left; `counts` by the pool's key. What is absent did not change.
    """

    time: float
    interval: float = 0.0
    services: dict[str, ServiceView | None] = {}
    counts: dict[str, PoolCounts] = {}
    proxy: ProxyView | None = None
    workers: tuple[WorkerReport, ...] | None = None
    problems: tuple[Problem, ...] | None = None
    changes: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        told = (self.services, self.counts, self.proxy, self.changes)
        return not any(told) and self.workers is None and self.problems is None


def frame_pieces(frame: Frame) -> Iterator[bytes]:
    """The frame in JSON, in pieces that are small whatever the frame is."""
    encode = msgspec.json.Encoder().encode
    head = encode(msgspec.structs.replace(frame, services={}, counts={}))
    yield head[:-1]
    for name, things in (("services", frame.services), ("counts", frame.counts)):
        if things:
            yield b"," + encode(name) + b":{"
            yield from _members(encode, things)
            yield b"}"
    yield b"}"


def _members(encode: Callable[[object], bytes], things: Mapping[str, object]) -> Iterator[bytes]:
    """What stands between the braces."""
    items = iter(things.items())
    comma = b""
    while some := dict(islice(items, _AT_A_TIME)):
        yield comma + encode(some)[1:-1]
        comma = b","
