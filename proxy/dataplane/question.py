"""What the control process may ask a worker about its flows, and the answers.

Invariant: a question changes nothing, its answer is bounded in size and in the time it takes from the flows, and both
travel as msgpack.
"""

import msgspec

from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.foresight import Foresight
from proxy.plan.frontend import FrontendKey

MOST_LISTED = 10_000
"""Rows of one answer."""


class ListConnections(msgspec.Struct, frozen=True, tag=True):
    """The open TCP connections and UDP flows of a Service, of a namespace, or of all (empty), the newest first."""

    namespace: str = ""
    name: str = ""
    most: int = MOST_LISTED


class ListAffinity(msgspec.Struct, frozen=True, tag=True):
    """The affinity entries of a Service, of a namespace, or of all (empty), the newest
    first by and large."""

    namespace: str = ""
    name: str = ""
    most: int = MOST_LISTED


class Foresee(msgspec.Struct, frozen=True, tag=True):
    """What would become of the next flow to a frontend from a client, whose address and port may be "" and 0; of a
    frontend on a wildcard address, `destination` is the address asked for."""

    frontend: FrontendKey
    destination: str
    client: str = ""
    client_port: int = 0


class Connections(msgspec.Struct, frozen=True, tag=True):
    """`complete` is whether no row was left out."""

    rows: tuple[FlowRecord, ...]
    complete: bool


class AffinityRow(msgspec.Struct, frozen=True, array_like=True):
    """One client's binding; `port` is the Service port's name and protocol as in `http/TCP`."""

    client: str
    service: str
    port: str
    endpoint: str
    pod: str
    seconds_left: float


class AffinityRows(msgspec.Struct, frozen=True, tag=True):
    """`complete` is whether no row was left out."""

    rows: tuple[AffinityRow, ...]
    complete: bool


class Foreseen(msgspec.Struct, frozen=True, tag=True):
    """None where the worker has no such frontend."""

    foresight: Foresight | None


Question = ListConnections | ListAffinity | Foresee
Answer = Connections | AffinityRows | Foreseen
