"""Churn: what 1,000 changed Services a second add to the latency of a connection that none of them concerns.

Imports only rooms of the benchmark. Invariant: one connection, opened before the first change and held to the end, asks
at scheduled times in a quiet span and then in an equally long one in which the API server sends its changes; a run in
which the proxy did not apply them is an error.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

import backends
import machine
import msgspec
from child import Child, ChildFailedError
from cluster_api import KUBECONFIG, START_CHANGES, service_address
from load_wrk import LoadFailedError
from paced_load import PacedLoad
from percentile import percentile
from subject import free_node_ports
from svcproxy import REPOSITORY
from sync import BENCH, wait_until
from wait import until_http_answers

NETWORK = "127.97.0.0"
REQUESTS_PER_SECOND = 500
WARM_UP_SECONDS = 1.0


class Spread(msgspec.Struct, frozen=True):
    """Latencies of one span, microseconds."""

    p50: float
    p99: float
    longest: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} us, p99 {self.p99:.0f} us, longest {self.longest:.0f} us"


class Options(msgspec.Struct, frozen=True):
    """`rate` changes a second for `seconds`, among so many `services`."""

    services: int
    rate: int
    seconds: int


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures a held connection's latency while Services change.")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=1000, help="changed Services a second")
    parser.add_argument("--seconds", type=int, default=10, help="of each span")
    parsed = parser.parse_args()
    options = Options(parsed.services, parsed.rate, parsed.seconds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine.ensure_programs()
    machine.raise_descriptor_limit()
    cores = machine.choose_cores()
    print(machine.describe(cores), flush=True)
    os.sched_setaffinity(0, {cores.load})
    try:
        quiet, changing = _measure(options, cores)
    except (ChildFailedError, LoadFailedError) as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    print(f"quiet: {quiet}")
    print(f"{options.rate} of {options.services} Services changed a second: {changing}")
    print(f"p99 {changing.p99 / quiet.p99:.2f} times the quiet one")
    return 0


def _measure(options: Options, cores: machine.Cores) -> tuple[Spread, Spread]:
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        with backends.running(directory, cores) as behind:
            served = f"{backends.ADDRESSES[0]}:{behind.http_port}"
            sizes = [f"--services={options.services}", "--endpoints=10", f"--events={options.rate * options.seconds}"]
            server = [sys.executable, str(BENCH / "cluster_api.py"), *sizes, f"--rate={options.rate}"]
            server += [f"--network={NETWORK}", f"--served={served}", name]
            with Child("the API server", _unhurried(server), cores.load, directory / "server.log") as api:
                wait_until(api, (directory / KUBECONFIG).exists)
                return _measure_proxy(options, cores, directory, api)


def _unhurried(command: list[str]) -> list[str]:
    """The server shares the generator's core: what it does must not show in the latencies."""
    return ["chrt", "--idle", "0", *command]


def _measure_proxy(options: Options, cores: machine.Cores, directory: Path, api: Child) -> tuple[Spread, Spread]:
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
        return quiet, changing


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
