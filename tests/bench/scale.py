"""Scale: svcproxy in front of clusters of 100, 1,000 and 10,000 Services: start, memory, and what one change takes.

Imports only rooms of the benchmark; matplotlib, if it is there, for the chart. Runs as root in a network namespace of
its own, where the Services' and the endpoints' addresses are local. Invariant: the API server, svcproxy and the client
are processes of their own, and every wait is bounded.
"""

import argparse
import http.client
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import measurement
import msgspec
import psutil
from changing_api import ChangingAPI
from child import Child, ChildFailedError
from cluster_api import KUBECONFIG
from meter import cpu_seconds
from percentile import SHARES, milliseconds, percentile
from scale_probe import ScaleProbe
from svcproxy import REPOSITORY
from wait import until

READY_SECONDS = 180.0
BENCH = Path(__file__).parent
_INSIDE = "SVCPROXY_BENCH_NAMESPACE"
_COMMANDS = ("link set lo up", "route add local 10.128.0.0/9 dev lo")
# A pause of random length between changes, so that they do not fall in step with anything periodic in the proxy.
_PAUSE_SECONDS = (0.005, 0.03)
_MIB = 2**20
_HEALTH_PORT = 10256
_CLIENTS_AFTER_DEATH = 24


class Case(msgspec.Struct, frozen=True):
    """What stands behind the proxy, and how it captures."""

    capture: str
    services: int
    ports: int
    endpoints: int
    workers: int

    def __str__(self) -> str:
        return f"{self.capture}, {self.services} Services × {self.ports} ports × {self.endpoints} endpoints"


class Figures(msgspec.Struct, frozen=True):
    """Seconds and MiB. `listening_seconds` from the start of the process until the last Service serves, on the clock;
    `processor_seconds` are the control process's and all workers' until then, whatever else the machine did."""

    case: Case
    listening_seconds: float
    processor_seconds: tuple[float, float]
    control_mib: float
    workers_mib: list[float]
    changes: list[float]
    restart: "Restart | None"

    def __str__(self) -> str:
        workers = "/".join(f"{size:.0f}" for size in self.workers_mib) or "-"
        return (
            f"{self.case}: all listening in {self.listening_seconds:.2f} s ({self.processor_seconds[0]:.2f} s of "
            f"processor time, workers {self.processor_seconds[1]:.2f} s); control {self.control_mib:.0f} MiB, "
            f"workers {workers} MiB; one change, {len(self.changes)} times: "
            f"{milliseconds(self.changes)}{'' if self.restart is None else f'; {self.restart}'}"
        )


class Restart(msgspec.Struct, frozen=True):
    """A worker killed: seconds until everybody was served again, and the longest that anybody waited for /healthz
    meanwhile, which is how long the control process was elsewhere."""

    back: float
    longest_wait: float

    def __str__(self) -> str:
        back = f"a killed worker is back in {self.back:.2f} s"
        return f"{back}, /healthz answers in {self.longest_wait * 1e3:.1f} ms at most"


class Curve(msgspec.Struct, frozen=True):
    """Every case."""

    cases: list[Figures]

    def __str__(self) -> str:
        return f"{len(self.cases)} cases"


def main() -> int:
    parser = measurement.parser("Measures svcproxy in front of large clusters.", "scale")
    measurement.add_plot(parser, "scale")
    parser.add_argument("--services", default="100,1000,10000", help="how many, one run each, separated by commas")
    parser.add_argument("--endpoints", type=int, default=10, help="of each Service")
    parser.add_argument("--ports", type=int, default=2, help="of each Service")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--bind-services", type=int, default=4000, help="behind one worker that binds; 0 for no such run"
    )
    parser.add_argument("--changes", type=int, default=500)
    options = parser.parse_args()
    if _INSIDE not in os.environ:
        return _inside_a_namespace()
    return measurement.take(options, lambda cores: _curve(options))


def _curve(options: argparse.Namespace) -> Curve:
    curve = Curve([_announced(case, options.changes) for case in _cases(options)])
    _draw(curve.cases, options.plot)
    return curve


def _inside_a_namespace() -> int:
    """Run again where the addresses of a cluster are nobody's."""
    if os.geteuid() != 0:
        print("scale.py makes a network namespace, which takes root", file=sys.stderr)
        return 1
    environment = {**os.environ, _INSIDE: "1"}
    return subprocess.run(["unshare", "--net", sys.executable, *sys.argv], check=False, env=environment).returncode


def _cases(options: argparse.Namespace) -> list[Case]:
    sizes = [int(size) for size in options.services.split(",") if size]
    cases = [Case("sklookup", size, options.ports, options.endpoints, options.workers) for size in sizes]
    if options.bind_services:
        cases.append(Case("bind", options.bind_services, options.ports, options.endpoints, min(1, options.workers)))
    for command in _COMMANDS:
        subprocess.run(["ip", *command.split()], check=True)
    return cases


def _announced(case: Case, changes: int) -> Figures:
    figures = _measure(case, changes)
    print(figures, flush=True)
    return figures


def _measure(case: Case, changes: int) -> Figures:
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name, ScaleProbe() as probe:
        directory = Path(name)
        kubeconfig = directory / KUBECONFIG
        sizes = [f"--services={case.services}", f"--endpoints={case.endpoints}", f"--ports={case.ports}"]
        server = [sys.executable, str(BENCH / "cluster_api.py"), *sizes, name]
        with Child("the API server", server, cores, directory / "server.log") as api:
            until(api, kubeconfig.exists, READY_SECONDS)
            started = time.monotonic()
            log = directory / "svcproxy.log"
            with Child("svcproxy", _command(case, directory), cores, log, REPOSITORY) as child:
                until(child, lambda: '"event":"serving"' in _compact(log), READY_SECONDS)
                until(child, lambda: all(map(probe.serves, _sample(case.services))), READY_SECONDS)
                listening = time.monotonic() - started
                first, *others = child.pids()
                used = cpu_seconds([first]), cpu_seconds(others)
                _check_bound(log)
                control, workers = _memory(child)
                latencies = _change_often(probe, kubeconfig, case, changes)
                restart = _restart(probe, others[0]) if others else None
                return Figures(case, listening, used, control, workers, latencies, restart)


def _command(case: Case, directory: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "proxy", "run"),
        *("--kubeconfig", str(directory / KUBECONFIG)),
        *("--config", str(_configuration(directory))),
        *("--capture", case.capture),
        *("--workers", str(case.workers)),
        *("--state-dir", str(directory / "state")),
    ]


def _configuration(directory: Path) -> Path:
    path = directory / "svcproxy.yaml"
    settings = {
        "apiVersion": "svcproxy.io/v1alpha1",
        "kind": "ProxyConfiguration",
        "serviceClusterIPRange": "10.96.0.0/12",
        "hostnameOverride": "node-0",
        "logFormat": "json",
    }
    path.write_bytes(msgspec.json.encode(settings))
    return path


def _compact(log: Path) -> str:
    return log.read_text(errors="replace").replace('": ', '":')


def _check_bound(log: Path) -> None:
    """Raises ChildFailedError if a Service does not listen."""
    found = re.search(r'"unbound":(\d+)', _compact(log))
    if found is None or found[1] != "0":
        raise ChildFailedError(f"not everything listens: {log.read_text()[-2000:]}")


def _sample(services: int) -> list[int]:
    """Some Services from one end to the other."""
    return sorted({*range(0, services, max(1, services // 20)), services - 1})


def _memory(child: Child) -> tuple[float, list[float]]:
    """Resident MiB of the control process and of each worker."""
    control = psutil.Process(child.process.pid)
    workers = sorted(each.memory_info().rss / _MIB for each in control.children(recursive=True))
    return control.memory_info().rss / _MIB, workers


def _restart(probe: ScaleProbe, worker: int) -> Restart:
    """Each connection meets the killed worker or another one, by its port; who meets it waits until it is back."""
    waits: list[float] = []
    over = threading.Event()
    asking = threading.Thread(target=_ask_health, args=(waits, over))
    asking.start()
    began = time.monotonic()
    try:
        os.kill(worker, signal.SIGKILL)
        for _ in range(_CLIENTS_AFTER_DEATH):
            probe.reached(0)
        back = time.monotonic() - began
    finally:
        over.set()
        asking.join()
    return Restart(back, max(waits))


def _ask_health(waits: list[float], over: threading.Event) -> None:
    """Ask again and again over one connection, and note how long each answer took."""
    connection = http.client.HTTPConnection("127.0.0.1", _HEALTH_PORT, timeout=READY_SECONDS)
    while not over.wait(0.001):
        asked = time.monotonic()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        waits.append(time.monotonic() - asked)
    connection.close()


def _change_often(probe: ScaleProbe, kubeconfig: Path, case: Case, changes: int) -> list[float]:
    draw = random.Random(1)
    api = ChangingAPI(kubeconfig)
    latencies: list[float] = []
    try:
        for _ in range(changes):
            time.sleep(draw.uniform(*_PAUSE_SECONDS))
            latencies.append(probe.seconds_until_followed(draw.randrange(case.services), api))
    finally:
        api.close()
    return latencies


def _draw(figures: Sequence[Figures], path: Path) -> None:
    curve = [each for each in figures if each.case.capture == "sklookup"]
    if not curve or not measurement.can_draw():
        return
    import scale_plot

    sizes = [each.case.services for each in curve]
    shares = {name: [percentile(sorted(each.changes), share) * 1e3 for each in curve] for name, share in SHARES.items()}
    scale_plot.draw(sizes, shares, [each.listening_seconds for each in curve], path)


if __name__ == "__main__":
    sys.exit(main())
