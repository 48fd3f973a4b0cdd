"""Sync: how long a cluster of 10,000 Services and 100,000 endpoints takes to be known, and a change to be planned.

Imports only rooms of the benchmark. Invariant: the API server and the control process are processes of their own, on
cores of their own where there are two; every wait is bounded.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import machine
import msgspec
from child import Child, ChildFailedError
from cluster_api import KUBECONFIG
from percentile import percentile
from svcproxy import REPOSITORY
from sync_control import Figures

READY_SECONDS = 120.0
BENCH = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures following a large cluster: sync time, memory, latency.")
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--endpoints", type=int, default=10, help="of each Service")
    parser.add_argument("--events", type=int, default=1000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cores = machine.choose_cores()
    print(machine.describe(cores), flush=True)
    try:
        figures = _measure(options.services, options.endpoints, options.events, cores)
    except ChildFailedError as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    print(_summary(options.services, figures))
    return 0


def _measure(services: int, endpoints: int, events: int, cores: machine.Cores) -> Figures:
    sizes = [f"--services={services}", f"--endpoints={endpoints}", f"--events={events}"]
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        kubeconfig = directory / KUBECONFIG
        server = [sys.executable, str(BENCH / "cluster_api.py"), *sizes, name]
        with Child("the API server", server, cores.load, directory / "server.log") as api:
            wait_until(api, kubeconfig.exists)
            control = [sys.executable, str(BENCH / "sync_control.py"), str(kubeconfig), str(events)]
            with Child("the control process", control, cores.proxy, directory / "control.log", REPOSITORY) as child:
                wait_until(child, lambda: child.process.poll() is not None)
                if child.process.returncode != 0:
                    child.check_alive()
                return msgspec.json.decode(child.log.read_bytes().splitlines()[-1], type=Figures)


def wait_until(child: Child, is_ready: Callable[[], bool]) -> None:
    """Raises ChildFailedError after READY_SECONDS, or when the child fails."""
    deadline = time.monotonic() + READY_SECONDS
    while not is_ready():
        if time.monotonic() > deadline or child.process.poll() not in (None, 0):
            raise ChildFailedError(f"{child.name} did not get ready:\n{child.log_tail()}")
        time.sleep(0.02)


def _summary(services: int, figures: Figures) -> str:
    latencies = sorted(figures.latencies)
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    waits = ", ".join(f"{name} {percentile(latencies, share) * 1e3:.2f} ms" for name, share in shares.items())
    return (
        f"{services} Services, {figures.endpoints} endpoints: synced in {figures.sync_seconds:.2f} s, "
        f"{figures.resident_mib:.0f} MiB resident (peak {figures.peak_mib:.0f}); "
        f"event to plan, {len(latencies)} events: {waits}"
    )


if __name__ == "__main__":
    sys.exit(main())
