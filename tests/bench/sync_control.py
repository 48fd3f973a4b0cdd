"""What the control process does with a cluster's API: follow it, and plan. Prints figures as one line of JSON.

Imports the proxy. Invariant: it has loaded all that `svcproxy run` loads, so that its memory is that process's without
the sockets; a change counts as arrived in the plan when the planner has returned its delta.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from random import Random

import msgspec
import psutil
import uvloop
from cluster_api import SENT_LABEL
from percentile import milliseconds

import proxy.proxy  # noqa: F401 - for its weight
from proxy.control import collector
from proxy.model.changes import Changes
from proxy.plan.planner import Planner
from proxy.plan.settings import PlanSettings
from proxy.sources.kubernetes import KubernetesSource
from proxy.sources.kubernetes_api.connection import Connection
from proxy.sources.kubernetes_api.credentials import Kubeconfig
from proxy.sources.kubernetes_api.known_state import KnownStateFile
from proxy.sources.kubernetes_api.resource import Scope
from proxy.sources.kubernetes_api.timing import Timing


class Figures(msgspec.Struct, frozen=True):
    """`sync_seconds` from the first import of the client to the complete plan; latencies in seconds."""

    services: int
    endpoints: int
    sync_seconds: float
    peak_mib: float
    resident_mib: float
    latencies: list[float]

    def __str__(self) -> str:
        return (
            f"{self.services} Services, {self.endpoints} endpoints: synced in {self.sync_seconds:.2f} s, "
            f"{self.resident_mib:.0f} MiB resident (peak {self.peak_mib:.0f}); "
            f"event to plan, {len(self.latencies)} events: {milliseconds(self.latencies)}"
        )


async def _follow(kubeconfig: Path, events: int) -> Figures:
    started = time.monotonic()
    collector.expect_growth()
    timing = Timing()
    connection = Connection(Kubeconfig(str(kubeconfig)), asyncio.get_running_loop().time, timing.credentials)
    planner = Planner(PlanSettings(node_name="node-0"))
    latencies: list[float] = []
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as directory:
        known_state = KnownStateFile(directory, ("bench",))
        source = KubernetesSource(connection, Scope("node-0"), known_state, timing, Random(1))
        async with aclosing(source.changes()) as batches:
            planner.apply(await anext(batches))
            synced = time.monotonic() - started
            collector.settle()
            endpoints = sum(len(pool.targets) for pool in planner.pools.values())
            async for changes in batches:
                planner.apply(changes)
                planner.problems()
                latencies += _latencies(changes)
                if len(latencies) >= events:
                    break
    memory = psutil.Process().memory_info().rss / 2**20
    return Figures(len(planner.services), endpoints, synced, _peak_mib(), memory, latencies)


def _latencies(changes: Changes) -> list[float]:
    now = time.monotonic_ns()
    stamps = (each.metadata.labels.get(SENT_LABEL) for each in changes.slices)
    return [(now - int(stamp)) / 1e9 for stamp in stamps if stamp]


def _peak_mib() -> float:
    """The most that was ever resident (VmHWM, proc(5))."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def main() -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(_follow(Path(sys.argv[1]), int(sys.argv[2])))
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
