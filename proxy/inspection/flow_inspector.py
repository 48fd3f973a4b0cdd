"""Answers the admin API's questions about flows, by asking the workers.

Invariant: nothing that is asked here changes what the proxy does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from proxy.capture.bind_failure import BindFailure
from proxy.capture.local_route import is_local
from proxy.capture.steering import ANY_WORKER
from proxy.dataplane.foresight import Foresight
from proxy.dataplane.question import Answer, Foresee, Foreseen, ListAffinity, ListConnections, Question
from proxy.inspection.explanation import Asked, Found, as_met, explain, explain_unknown, find, stopped
from proxy.inspection.flow_listing import affinity_of, connections_of
from proxy.model.changes import ObjectKey
from proxy.paths.path_list import PathList
from proxy.plan.frontend import Frontend, FrontendKey
from proxy.plan.planner import Planner
from proxy.reports.explanation_report import ExplanationReport
from proxy.reports.flow_report import AffinityAnswer, ConnectionsAnswer

Ask = Callable[[Question], Awaitable[Mapping[int, Answer]]]
"""Asks every worker that runs; the answers by the worker's index."""

Steer = Callable[[Frontend, str], int]
"""The worker that a client's connections to a frontend are steered to, or ANY_WORKER."""


class Sockets(Protocol):
    """What is asked of the reconciler."""

    @property
    def failures(self) -> Mapping[FrontendKey, BindFailure]: ...

    def is_listening(self, key: FrontendKey) -> bool: ...


class FlowInspector:
    """Reads the plan, the sockets and, through `ask`, the workers."""

    def __init__(self, planner: Planner, sockets: Sockets, paths: PathList, ask: Ask, steer: Steer) -> None:
        self._planner = planner
        self._sockets = sockets
        self._paths = paths
        self._ask = ask
        self._steer = steer

    async def connections(self, namespace: str, name: str, most: int) -> ConnectionsAnswer:
        """Open connections and flows of a Service, of a namespace or of all (empty): at most so many, the newest."""
        return connections_of(await self._ask(ListConnections(namespace, name, most)), most)

    async def affinity(self, namespace: str, name: str, most: int) -> AffinityAnswer:
        """Clients that are bound to endpoints of a Service, of a namespace or of all (empty): at most so many."""
        return affinity_of(await self._ask(ListAffinity(namespace, name, most)), most)

    async def explain(self, protocol: str, address: str, port: int, client: str, client_port: int) -> ExplanationReport:
        """Who would serve what a client sends to an address, and why."""
        asked = Asked(protocol, address, port, client, client_port)
        frontends = self._planner.frontends
        frontend = find(asked, frontends, self._sockets.is_listening)
        if frontend is None:
            return explain_unknown(asked, await asyncio.to_thread(is_local, address))
        return await self._explain(asked, frontend)

    async def explain_service(self, key: ObjectKey, client: str) -> tuple[ExplanationReport, ...] | None:
        """The same for each address of a Service, of the client's family if it is named; None if it is not known."""
        if key not in self._planner.services:
            return None
        return tuple(
            [
                await self._explain(Asked(*frontend.key, client), frontend)
                for frontend in self._planner.plan_of(key).frontends
                if self._planner.frontends.get(frontend.key) == frontend
                and (not client or (":" in client) == (":" in frontend.key.address))
            ]
        )

    async def _explain(self, asked: Asked, frontend: Frontend) -> ExplanationReport:
        frontend = as_met(frontend, asked.client)
        key = frontend.key
        failure = self._sockets.failures.get(key)
        fault = str(failure) if failure is not None else ""
        pool = self._planner.pools[frontend.pool]
        paths, note = self._paths.of(frontend, pool), self._note(frontend)
        found = Found(frontend, pool, self._sockets.is_listening(key), fault, paths, note)
        early = stopped(asked, found)
        if early is not None:
            return early
        worker = self._steer(frontend, asked.client) if asked.client else ANY_WORKER
        foresights = await self._foresights(asked, key)
        if worker in foresights:
            return explain(asked, found, worker, {worker: foresights[worker]})
        return explain(asked, found, ANY_WORKER, foresights)

    def _note(self, frontend: Frontend) -> str:
        """Why the frontend's pool is empty or leaves endpoints out."""
        namespace, _, name = frontend.service.partition("/")
        notes = self._planner.plan_of((namespace, name)).endpoint_notes
        start = f"{frontend.pool}: "
        return next((note.removeprefix(start) for note in notes if note.startswith(start)), "")

    async def _foresights(self, asked: Asked, key: FrontendKey) -> dict[int, Foresight]:
        answers = await self._ask(Foresee(key, asked.address, asked.client, asked.client_port))
        return {
            worker: answer.foresight
            for worker, answer in answers.items()
            if isinstance(answer, Foreseen) and answer.foresight is not None
        }
