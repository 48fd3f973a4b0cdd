"""The report of a decision: who would serve a client's next connection, and why.

Invariant: stable on the wire as every answer of the API: camelCase, fields are only added.
"""

import enum

import msgspec


class Verdict(enum.Enum):
    """SERVED: by one of `endpoints`. REFUSED: the kernel refuses at once. DROPPED: the client hears nothing. RESET: it
    is accepted and let go, since no endpoint may take it. UNDECIDED: it depends on the client, who was not named.
    NOT_PROXIED: nothing of this proxy listens there."""

    SERVED = "served"
    REFUSED = "refused"
    DROPPED = "dropped"
    RESET = "reset"
    UNDECIDED = "undecided"
    NOT_PROXIED = "not-proxied"


class EndpointChance(msgspec.Struct, frozen=True, rename="camel"):
    """An endpoint (`address:port`) that may serve; a `chance` of 1 is certain."""

    endpoint: str
    pod: str
    chance: float


class Step(msgspec.Struct, frozen=True, rename="camel"):
    """One step of the decision, in the order in which they are taken: its name and what comes of it, in words."""

    name: str
    text: str


class ExplanationReport(msgspec.Struct, frozen=True, rename="camel"):
    """The decision for one frontend. `client` is empty where none was named; `worker` is -1 where any may be it.
    `frontend`, `service` and `pool` are empty where nothing of this proxy listens."""

    protocol: str
    address: str
    port: int
    client: str
    verdict: Verdict
    endpoints: tuple[EndpointChance, ...]
    frontend: str = ""
    service: str = ""
    pool: str = ""
    worker: int = -1
    steps: tuple[Step, ...] = ()


class ExplanationsAnswer(msgspec.Struct, frozen=True):
    """/api/v1/explain: one for the address that was asked for, or one for each address of a Service."""

    explanations: tuple[ExplanationReport, ...]
