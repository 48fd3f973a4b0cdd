"""Flows in a state of the test's choice, for the HTTP servers."""

from typing import Any

from proxy.model.changes import ObjectKey
from proxy.reports.explanation_report import ExplanationReport, Verdict
from proxy.reports.flow_report import AffinityAnswer, AffinityReport, ConnectionsAnswer


class FakeFlows:
    """`asked` is every question so far."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def connections(self, namespace: str, name: str, most: int) -> ConnectionsAnswer:
        self.asked.append(("connections", namespace, name, most))
        return ConnectionsAnswer((), complete=True)

    async def affinity(self, namespace: str, name: str, most: int) -> AffinityAnswer:
        self.asked.append(("affinity", namespace, name, most))
        entry = AffinityReport("10.0.0.7", "default/shop", "http/TCP", "10.0.0.1:8080", "pod-1", 0, 7.5)
        return AffinityAnswer((entry,), complete=True)

    async def explain(self, protocol: str, address: str, port: int, client: str, client_port: int) -> ExplanationReport:
        self.asked.append(("explain", protocol, address, port, client, client_port))
        return ExplanationReport(protocol, address, port, client, Verdict.NOT_PROXIED, ())

    async def explain_service(self, key: ObjectKey, client: str) -> tuple[ExplanationReport, ...] | None:
        self.asked.append(("explain_service", key, client))
        return None if key[1] == "none" else ()
