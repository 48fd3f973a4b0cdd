"""Churn: what 1,000 changed Services a second add to the latency of a connection that none of them concerns.

Imports only rooms of the benchmark. Invariant: one connection, opened before the first change and held to the end, asks
at scheduled times in a quiet span and then in an equally long one in which the API server sends its changes; a run in
which the proxy did not apply them is an error.
"""

import json
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

import backends
import machine
import measurement
import msgspec
from child import Child
from cluster_api import KUBECONFIG, START_CHANGES, service_address
from load_wrk import LoadFailedError
from paced_load import PacedLoad
from percentile import percentile
from subject import free_node_ports
from svcproxy import REPOSITORY
from wait import until, until_http_answers

NETWORK = "127.97.0.0"
REQUESTS_PER_SECOND = 500
WARM_UP_SECONDS = 1.0
API_SECONDS = 60.0
BENCH = Path(__file__).parent


class Spread(msgspec.Struct, frozen=True):
    """Latencies of one span, microseconds."""

    p50: float
    p99: float
    longest: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} us, p99 {self.p99:.0f} us, longest {self.longest:.0f} us"


class Figures(msgspec.Struct, frozen=True):
    """The two spans, and how many Services changed a second in the second one."""

    rate: int
    services: int
    quiet: Spread
    changing: Spread

    def __str__(self) -> str:
        return (
            f"quiet: {self.quiet}\n{self.rate} of {self.services} Services changed a second: {self.changing}\n"
            f"p99 {self.changing.p99 / self.quiet.p99:.2f} times the quiet one"
        )


class Options(msgspec.Struct, frozen=True):
    """`rate` changes a second for `seconds`, among so many `services`."""

    services: int
    rate: int
    seconds: int


def main() -> int:
    parser = measurement.parser("Measures a held connection's latency while Services change.", "churn")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=1000, help="changed Services a second")
    parser.add_argument("--seconds", type=int, default=10, help="of each span")
    parsed = parser.parse_args()
    options = Options(parsed.services, parsed.rate, parsed.seconds)
    return measurement.take(parsed, lambda cores: _measure(options, cores), machine.PROGRAMS)


def _measure(options: Options, cores: machine.Cores) -> Figures:
    measurement.keep_to(cores.load)
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        with backends.running(directory, cores) as behind:
            served = f"{backends.ADDRESSES[0]}:{behind.http_port}"
            sizes = [f"--services={options.services}", "--endpoints=10", f"--events={options.rate * options.seconds}"]
            server = [sys.executable, str(BENCH / "cluster_api.py"), *sizes, f"--rate={options.rate}"]
            server += [f"--network={NETWORK}", f"--served={served}", name]
            with Child("the API server", _unhurried(server), cores.load, directory / "server.log") as api:
                until(api, (directory / KUBECONFIG).exists, API_SECONDS)
                return _measure_proxy(options, cores, directory, api)


def _unhurried(command: list[str]) -> list[str]:
    """The server shares the generator's core: what it does must not show in the latencies."""
    return ["chrt", "--idle", "0", *command]


def _measure_proxy(options: Options, cores: machine.Cores, directory: Path, api: Child) -> Figures:
    metrics = free_node_ports().tcp
    command = [sys.executable, "-m", "proxy", "run", "--kubeconfig", str(directory / KUBECONFIG)]
    command += ["--state-dir", str(directory / "state"), "--hostname-override", "node-0"]
    command += ["--metrics-bind-address", f"127.0.0.1:{metrics}", "--healthz-bind-address", "127.0.0.1:0"]
    fixed = (service_address(NETWORK, 0), 80)
    with Child("svcproxy", command, cores.proxy, directory / "svcproxy.log", REPOSITORY) as child:
        until_http_answers(child, fixed)
        with PacedLoad.connected(fixed, 1) as load:
            load.run(REQUESTS_PER_SECOND, WARM_UP_SECONDS)
            quiet = _spread(load, options)
            api.process.send_signal(START_CHANGES)
            changing = _spread(load, options)
        _check_that_changes_arrived(metrics, options)
        child.check_alive()
        return Figures(options.rate, options.services, quiet, changing)


def _spread(load: PacedLoad, options: Options) -> Spread:
    latencies = load.run(REQUESTS_PER_SECOND, options.seconds).latencies
    p50, p99, longest = (percentile(latencies, share) * 1e6 for share in (0.5, 0.99, 1.0))
    return Spread(p50, p99, longest)


def _check_that_changes_arrived(metrics: int, options: Options) -> None:
    """Raises LoadFailedError unless an endpoint of a changed slice is what the proxy holds: its port is another."""
    with urlopen(f"http://127.0.0.1:{metrics}/api/v1/services", timeout=30) as answer:
        report = json.load(answer)
    ports = {
        endpoint["port"]
        for service in report["services"]
        for pool in service["pools"]
        for endpoint in pool["endpoints"]
    }
    if 8081 not in ports:
        raise LoadFailedError(f"the proxy did not apply the changes of {options.services} Services")


if __name__ == "__main__":
    sys.exit(main())
