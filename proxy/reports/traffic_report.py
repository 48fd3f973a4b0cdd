"""What passed through the pools, as metrics show it.

Invariant: the cells are those of `shared_counts.layout`, summed over the workers.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec


class EndpointTraffic(msgspec.Struct, frozen=True):
    """One endpoint, such as `10.0.0.1:8080`; `cells` as in EndpointCell."""

    endpoint: str
    pod: str
    cells: Sequence[int]


class PortTraffic(msgspec.Struct, frozen=True):
    """One port of a Service, its pools together; `cells` as in PoolCell, `open` its flows at this moment, `dropped` the
    packets that were dropped unanswered, by the label of the reason."""

    namespace: str
    service: str
    port: str
    protocol: str
    open: int
    cells: Sequence[int]
    endpoints: tuple[EndpointTraffic, ...] = ()
    dropped: Mapping[str, int] = {}


class Traffic(msgspec.Struct, frozen=True):
    """`reasons` are the labels of close reasons, in the order of their cells; `ports` are read as they are asked for,
    and those through which nothing ever passed may be left out. None in between them is no port, but a moment for
    others to have their turn."""

    reasons: tuple[str, ...] = ()
    ports: Iterable[PortTraffic | None] = ()
