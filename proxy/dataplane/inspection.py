"""Answers of a worker to questions about its flows.

Imports this room. Invariant: reads only; an answer looks at a bounded number of things, so that the flows do not
wait for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import TypeVar

from msgspec.structs import replace

from proxy.affinity import AffinityEntry
from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.addresses import client_text
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.foresight import Candidate
from proxy.dataplane.pools import Pools
from proxy.dataplane.question import (
    AffinityRow,
    AffinityRows,
    Answer,
    Connections,
    Foresee,
    Foreseen,
    ListAffinity,
    ListConnections,
    Question,
)
from proxy.dataplane.resources import Resources
from proxy.dataplane.tcp_listener import TcpListener
from proxy.dataplane.udp_listener import UdpListener
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import FrontendKey

MOST_EXAMINED = 100_000
"""Flows or entries that one answer looks at: some 50 ms."""

Found = TypeVar("Found")


class Inspection:
    """Reads one worker's state: the mappings are the worker's own and stay live."""

    def __init__(
        self,
        resources: Resources,
        listeners: Mapping[FrontendKey, TcpListener | UdpListener],
        pools: Pools,
    ) -> None:
        self._resources = resources
        self._listeners = listeners
        self._pools = pools

    def answer(self, question: Question, now: float) -> Answer:
        """The answer of this moment; `now` is monotonic seconds."""
        match question:
            case ListConnections():
                records, complete = _bounded(self._records(_wanted(question)), question.most)
                return Connections(tuple(records), complete)
            case ListAffinity():
                rows, complete = _bounded(self._affinity_rows(_wanted(question), now), question.most)
                return AffinityRows(tuple(rows), complete)
            case Foresee():
                return self._foreseen(question, now)

    def _records(self, wanted: Callable[[str], bool]) -> Iterator[FlowRecord | None]:
        """One for each flow, the newest first; None in the place of one that is not wanted."""
        for relay in reversed(self._resources.relays):
            yield relay.record() if wanted(relay.listener.frontend.service) else None
        for listener in self._listeners.values():
            if isinstance(listener, UdpListener) and wanted(listener.frontend.service):
                for flow in reversed(listener.flows.values()):
                    yield flow.record()

    def _affinity_rows(self, wanted: Callable[[str], bool], now: float) -> Iterator[AffinityRow | None]:
        """A row for each entry; None in the place of one that is not wanted or leads nowhere."""
        ports = self._affinity_ports(wanted)
        for entry in self._resources.affinity.entries(now):
            yield ports[entry.group.key].row(entry) if entry is not None and entry.group.key in ports else None

    def _affinity_ports(self, wanted: Callable[[str], bool]) -> dict[int, "_AffinityPort"]:
        """The Service ports with affinity by the key of their group."""
        ports: dict[int, _AffinityPort] = {}
        for balancer in self._pools.built():
            group = balancer.affinity_group
            if group is not None and wanted(balancer.pool.service):
                ports.setdefault(group.key, _AffinityPort(balancer)).add(balancer)
        return ports

    def _foreseen(self, question: Foresee, now: float) -> Foreseen:
        listener = self._listeners.get(question.frontend)
        if listener is None:
            return Foreseen(None)
        foresight = listener.balancer.foresee(question.client, question.destination, now)
        if isinstance(listener, UdpListener) and question.client_port:
            flow = listener.flow_of(question.client, question.client_port, question.destination)
            if flow is not None:
                foresight = replace(foresight, flow=Candidate(str(flow.upstream), flow.upstream.pod, 1.0))
        return Foreseen(foresight)


class _AffinityPort:
    """One Service port with affinity: turns entries of its group into rows."""

    def __init__(self, balancer: Balancer) -> None:
        pool = balancer.pool
        self._service = pool.service
        self._port = f"{pool.port_name or '<unset>'}/{pool.protocol}"
        self._upstreams: dict[int, Upstream] = {}

    def add(self, balancer: Balancer) -> None:
        """A pool of the port: its endpoints are where entries may lead."""
        self._upstreams.update((upstream.identity, upstream) for upstream in balancer.upstreams)

    def row(self, entry: AffinityEntry) -> AffinityRow | None:
        upstream = self._upstreams.get(entry.backend_id)
        if upstream is None:
            return None
        client = client_text(entry.client, upstream.family)
        return AffinityRow(client, self._service, self._port, str(upstream), upstream.pod, entry.seconds_left)


def _wanted(question: ListConnections | ListAffinity) -> Callable[[str], bool]:
    """Whether a Service (`namespace/name`) is asked for."""
    if question.name:
        service = f"{question.namespace}/{question.name}"
        return lambda each: each == service
    prefix = f"{question.namespace}/" if question.namespace else ""
    return lambda each: each.startswith(prefix)


def _bounded(candidates: Iterable[Found | None], most: int) -> tuple[list[Found], bool]:
    """The first `most` that are not None, and whether these are all."""
    left = iter(candidates)
    examined = islice(left, MOST_EXAMINED)
    wanted = (each for each in examined if each is not None)
    found = list(islice(wanted, most))
    end = object()
    return found, next(chain(wanted, left), end) is end
