"""Answers of a worker to questions about its flows.

Invariants: an answer changes nothing, and looks at a bounded number of things. It is made in steps, between which flows
come and go.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
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
"""Flows or entries that one answer looks at: some 50 ms, in steps."""
_EXAMINED_PER_STEP = 16

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

    def answer(self, question: Question, now: float) -> Generator[None, None, Answer]:
        """Steps that return the answer; `now` is monotonic seconds."""
        match question:
            case ListConnections():
                records, complete = yield from _bounded(self._records(_wanted(question)), question.most)
                return Connections(tuple(records), complete)
            case ListAffinity():
                rows, complete = yield from _bounded(self._affinity_rows(_wanted(question), now), question.most)
                return AffinityRows(tuple(rows), complete)
            case Foresee():
                return self._foreseen(question, now)

    def _records(self, wanted: Callable[[str], bool]) -> Iterator[FlowRecord | None]:
        """One for each flow, the newest first; None in the place of one that is not wanted."""
        relays = self._resources.relays
        for relay in tuple(reversed(relays)):
            yield relay.record() if relay in relays and wanted(relay.service) else None
        for listener in tuple(self._listeners.values()):
            if isinstance(listener, UdpListener) and wanted(listener.frontend.service):
                for flow in tuple(reversed(listener.flows.values())):
                    yield None if flow.over else flow.record()

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
        balancer = listener.balancer_of(question.client) if question.client else listener.balancer
        foresight = balancer.foresee(question.client, question.destination, now)
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


def _bounded(candidates: Iterable[Found | None], most: int) -> Generator[None, None, tuple[list[Found], bool]]:
    """Steps that return the first `most` that are not None, and whether these are all."""
    found: list[Found] = []
    for examined, candidate in enumerate(candidates, 1):
        if examined > MOST_EXAMINED:
            return found, False
        if candidate is not None:
            if len(found) == most:
                return found, False
            found.append(candidate)
        if examined % _EXAMINED_PER_STEP == 0:
            yield
    return found, True
