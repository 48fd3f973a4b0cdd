"""Reports of flows: open connections and the ClientIP affinity table.

Invariant: stable on the wire as every answer of the API: camelCase, fields are only added.
"""

import msgspec


class ConnectionReport(msgspec.Struct, frozen=True, rename="camel"):
    """One open TCP connection or UDP flow. `received` and `sent` are bytes from and to the client; `connect_seconds`
    is -1 while no backend has answered. `service` is namespace/name."""

    protocol: str
    client: str
    service: str
    frontend: str
    endpoint: str
    pod: str
    worker: int
    received: int
    sent: int
    connect_seconds: float
    seconds: float
    namespace: str = ""


class ConnectionsAnswer(msgspec.Struct, frozen=True):
    """/api/v1/connections, the newest first; `complete` is whether none was left out."""

    connections: tuple[ConnectionReport, ...]
    complete: bool


class AffinityReport(msgspec.Struct, frozen=True, rename="camel"):
    """One client that is bound to an endpoint; `port` is the Service port as in `http/TCP`. `service` is
    namespace/name."""

    client: str
    service: str
    port: str
    endpoint: str
    pod: str
    worker: int
    seconds_left: float
    namespace: str = ""


class AffinityAnswer(msgspec.Struct, frozen=True):
    """/api/v1/affinity; `complete` is whether no entry was left out."""

    affinity: tuple[AffinityReport, ...]
    complete: bool
