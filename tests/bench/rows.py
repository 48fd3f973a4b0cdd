"""The rows of the benchmark: what is measured, one class each.

Imports only rooms of the benchmark. Invariant: a row measures a subject that was started for it, after a warm-up that
is not measured, and counts the processor time of the measured span alone.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import idle_load
import load_wrk
import msgspec
from bulk_load import BulkLoad
from load_wrk import LoadFailedError
from meter import Meter, resident_bytes
from paced_load import PacedLoad
from percentile import percentile
from sample import Better, Figure
from subject import Running
from udp_load import UdpLoad

CONNECTIONS = 64
UDP_FLOWS = 64
BULK_CONNECTIONS = 4
WARM_UP_SECONDS = 0.5
WRK_WARM_UP_SECONDS = 1

CPU = "cpu"
WHOLE = "whole"


class Effort(msgspec.Struct, frozen=True):
    """How long to measure, how many connections to hold, and the rate of the paced row (requests a second)."""

    seconds: int
    idle_connections: int
    pace: float


class Row(ABC):
    """Measures `figures`; those of the proxy's processor time are absent where there is no proxy. `is_far` is whether
    the backends are behind a veth, with a millisecond of delay where the kernel has netem."""

    name: ClassVar[str]
    title: ClassVar[str]
    figures: ClassVar[tuple[Figure, ...]]
    needs_udp: ClassVar[bool] = False
    is_far: ClassVar[bool] = False
    needs_proxy: ClassVar[bool] = False

    def applies_to(self, speaks_udp: bool, is_proxy: bool) -> bool:
        return (speaks_udp or not self.needs_udp) and (is_proxy or not self.needs_proxy)

    @abstractmethod
    def measure(self, running: Running, effort: Effort) -> tuple[dict[str, float], Meter]:
        """One measurement: the figures by name, and the meter that ran with it. Raises LoadFailedError."""


def _meter(running: Running) -> Meter:
    return Meter(running.pids, running.backend_pids)


def _with_cpu(figures: dict[str, float], running: Running, meter: Meter, units: float) -> dict[str, float]:
    """The figures, with the processor time of `units` things: the proxy's, and that of client, proxy and backend."""
    whole = {WHOLE: (meter.proxy + meter.load) / units}
    return {**figures, CPU: meter.proxy / units, **whole} if running.pids else {**figures, **whole}


class NewConnections(Row):
    """Connect, one request, close; wrk with `Connection: close`."""

    name = "connections"
    title = "new connections"
    figures = (
        Figure("rate", "connections/s", Better.MORE, limited_by_load=True),
        Figure(CPU, "µs a connection", Better.LESS),
        Figure(WHOLE, "µs a connection, client and backend too", Better.LESS, compared=False),
    )

    def measure(self, running: Running, effort: Effort) -> tuple[dict[str, float], Meter]:
        load_wrk.run(running.http, CONNECTIONS, WRK_WARM_UP_SECONDS, close=True)
        with _meter(running) as meter:
            result = load_wrk.run(running.http, CONNECTIONS, effort.seconds, close=True)
        return _with_cpu({"rate": result.rate}, running, meter, result.requests / 1e6), meter


class KeptAliveRequests(Row):
    """Requests over 64 connections that stay open; wrk, closed loop, so the percentiles are those of full load."""

    name = "requests"
    title = "kept-alive requests"
    figures = (
        Figure("rate", "requests/s", Better.MORE, limited_by_load=True),
        Figure(CPU, "µs a request", Better.LESS),
        Figure(WHOLE, "µs a request, client and backend too", Better.LESS, compared=False),
        Figure("p50", "µs at full load", Better.LESS, limited_by_load=True),
        Figure("p99", "µs at full load", Better.LESS, limited_by_load=True),
    )

    def measure(self, running: Running, effort: Effort) -> tuple[dict[str, float], Meter]:
        load_wrk.run(running.http, CONNECTIONS, WRK_WARM_UP_SECONDS)
        with _meter(running) as meter:
            result = load_wrk.run(running.http, CONNECTIONS, effort.seconds)
        figures = {"rate": result.rate, "p50": result.p50, "p99": result.p99}
        return _with_cpu(figures, running, meter, result.requests / 1e6), meter


class Bulk(Row):
    """A big file over four connections."""

    name = "bulk"
    title = "bulk transfer"
    figures = (
        Figure("rate", "Gbit/s", Better.MORE, limited_by_load=True),
        Figure(CPU, "ms a GB", Better.LESS),
        Figure(WHOLE, "ms a GB, client and backend too", Better.LESS, compared=False),
    )

    def measure(self, running: Running, effort: Effort) -> tuple[dict[str, float], Meter]:
        load = BulkLoad(running.http, BULK_CONNECTIONS)
        load.run(WARM_UP_SECONDS)
        with _meter(running) as meter:
            received = load.run(effort.seconds)
        return _with_cpu({"rate": received * 8e-9 / meter.wall}, running, meter, received * 1e-12), meter


class UdpRequests(Row):
    """Echoed datagrams over 64 flows with one in flight each. HAProxy does not forward UDP."""

    name = "udp"
    title = "UDP requests"
    needs_udp = True
    figures = (
        Figure("rate", "requests/s", Better.MORE, limited_by_load=True),
        Figure(CPU, "µs a request", Better.LESS),
        Figure(WHOLE, "µs a request, client and backend too", Better.LESS, compared=False),
        Figure("lost", "requests lost", Better.LESS, compared=False),
    )

    def measure(self, running: Running, effort: Effort) -> tuple[dict[str, float], Meter]:
        if running.udp is None:
            raise LoadFailedError(f"{running.subject} offers no UDP")
        with UdpLoad.connected(running.udp, UDP_FLOWS) as load:
            load.run(WARM_UP_SECONDS)
            with _meter(running) as meter:
                result = load.run(effort.seconds)
        figures = {"rate": result.rate, "lost": float(result.lost)}
        return _with_cpu(figures, running, meter, result.requests / 1e6), meter


class PacedLatency(Row):
    """Latency at a fixed rate below every proxy's peak, arrivals scheduled beforehand, counted from the schedule."""

    name = "latency"
    title = "paced latency"
    figures = (
        Figure("p50", "µs", Better.LESS, limited_by_load=True),
        Figure("p99", "µs", Better.LESS, limited_by_load=True),
        Figure(CPU, "µs a request", Better.LESS),
        Figure(WHOLE, "µs a request, client and backend too", Better.LESS, compared=False),
        Figure("lag", "µs, generator's own p99", Better.LESS, compared=False),
    )

    def measure(self, running: Running, effort: Effort) -> tuple[dict[str, float], Meter]:
        with PacedLoad.connected(running.http, CONNECTIONS) as load:
            load.run(effort.pace, WARM_UP_SECONDS)
            with _meter(running) as meter:
                result = load.run(effort.pace, effort.seconds)
        figures = {
            "p50": percentile(result.latencies, 0.5) * 1e6,
            "p99": percentile(result.latencies, 0.99) * 1e6,
            "lag": percentile(result.lags, 0.99) * 1e6,
        }
        return _with_cpu(figures, running, meter, len(result.latencies) / 1e6), meter


class IdleMemory(Row):
    """Growth of the proxy's resident memory with connections that were used once and stay open."""

    name = "memory"
    title = "memory per idle connection"
    needs_proxy = True
    figures = (
        Figure("growth", "KiB a connection", Better.LESS),
        Figure("resident", "MiB before the first", Better.LESS, compared=False),
    )

    def measure(self, running: Running, effort: Effort) -> tuple[dict[str, float], Meter]:
        before = resident_bytes(running.pids)
        with _meter(running) as meter, idle_load.held(running.http, effort.idle_connections):
            after = resident_bytes(running.pids)
        growth = (after - before) / 1024 / effort.idle_connections
        return {"growth": growth, "resident": before / 2**20}, meter


class FarConnections(NewConnections):
    """New connections to backends on another machine, as far as the proxies can tell."""

    name = "far connections"
    title = "new connections, far backends"
    is_far = True


class FarRequests(KeptAliveRequests):
    """Kept-alive requests to far backends."""

    name = "far requests"
    title = "kept-alive requests, far backends"
    is_far = True


class FarBulk(Bulk):
    """A big file from far backends."""

    name = "far bulk"
    title = "bulk transfer, far backends"
    is_far = True


ALL_ROWS: tuple[Row, ...] = (
    NewConnections(),
    KeptAliveRequests(),
    Bulk(),
    UdpRequests(),
    PacedLatency(),
    IdleMemory(),
    FarConnections(),
    FarRequests(),
    FarBulk(),
)
