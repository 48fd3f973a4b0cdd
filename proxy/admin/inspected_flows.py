"""What the HTTP servers ask of the running proxy about its flows: questions that workers answer, in their time.

Invariant: as `Inspected`, every member reads.
"""

from typing import Protocol

from proxy.model.changes import ObjectKey
from proxy.reports.explanation_report import ExplanationReport
from proxy.reports.flow_report import AffinityAnswer, ConnectionsAnswer


class InspectedFlows(Protocol):
    """The proxy's flows. A namespace or name may be empty: all of them."""

    async def connections(self, namespace: str, name: str, most: int) -> ConnectionsAnswer:
        """Open connections and flows, at most so many."""

    async def affinity(self, namespace: str, name: str, most: int) -> AffinityAnswer:
        """Clients that are bound to endpoints, at most so many."""

    async def explain(self, protocol: str, address: str, port: int, client: str, client_port: int) -> ExplanationReport:
        """Who would serve what a client sends to an address; client and its port may be "" and 0."""

    async def explain_service(self, key: ObjectKey, client: str) -> tuple[ExplanationReport, ...] | None:
        """The same for each address of a Service; None if it is not known."""
