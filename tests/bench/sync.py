"""Sync: how long a cluster of 10,000 Services and 100,000 endpoints takes to be known, and a change to be planned.

Imports only rooms of the benchmark. Invariant: the API server and the control process are processes of their own, on
cores of their own where there are two; every wait is bounded.
"""

import sys
import tempfile
from pathlib import Path

import measurement
import msgspec
from child import Child
from cluster_api import KUBECONFIG
from machine import Cores
from svcproxy import REPOSITORY
from sync_control import Figures
from wait import until

READY_SECONDS = 120.0
BENCH = Path(__file__).parent


def main() -> int:
    parser = measurement.parser("Measures following a large cluster: sync time, memory, latency.", "sync")
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--endpoints", type=int, default=10, help="of each Service")
    parser.add_argument("--events", type=int, default=1000)
    options = parser.parse_args()
    return measurement.take(options, lambda cores: _measure(options.services, options.endpoints, options.events, cores))


def _measure(services: int, endpoints: int, events: int, cores: Cores) -> Figures:
    sizes = [f"--services={services}", f"--endpoints={endpoints}", f"--events={events}"]
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        kubeconfig = directory / KUBECONFIG
        server = [sys.executable, str(BENCH / "cluster_api.py"), *sizes, name]
        with Child("the API server", server, cores.load, directory / "server.log") as api:
            until(api, kubeconfig.exists, READY_SECONDS)
            control = [sys.executable, str(BENCH / "sync_control.py"), str(kubeconfig), str(events)]
            with Child("the control process", control, cores.proxy, directory / "control.log", REPOSITORY) as child:
                child.wait_for_end(READY_SECONDS)
                return msgspec.json.decode(child.log.read_bytes().splitlines()[-1], type=Figures)


if __name__ == "__main__":
    sys.exit(main())
