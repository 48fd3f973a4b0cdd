"""Reload latency: from a saved manifest to the new behaviour, with 1,000 Services behind the proxy.

Imports only rooms of the benchmark. Invariant: the clock starts when the edited file has its name (written beside it
and renamed over it, as editors do) and stops when a new connection reaches the new endpoint; every wait is bounded.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import backends
import machine
import manifests
import wait
import yaml
from child import Child, ChildFailedError
from percentile import percentile
from subject import LISTEN_ADDRESS, free_node_ports
from svcproxy import REPOSITORY, run_command

EDIT_SECONDS = 10.0
PROBE_TIMEOUT = 2.0
# A pause of random length between edits, so that they do not fall in step with anything periodic in the proxy.
PAUSE_SECONDS = (0.05, 0.25)


class ReloadFailedError(Exception):
    """The proxy did not follow an edit in time."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures the time from a saved manifest to the new behaviour.")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=50)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine.ensure_programs()
    machine.raise_descriptor_limit()
    cores = machine.choose_cores()
    print(machine.describe(cores), flush=True)
    os.sched_setaffinity(0, {cores.load})
    try:
        latencies = _measure(options.services, options.edits, cores)
    except (ChildFailedError, ReloadFailedError) as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    latencies.sort()
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    figures = ", ".join(f"{name} {percentile(latencies, share) * 1e3:.1f} ms" for name, share in shares.items())
    print(f"saved manifest to new behaviour, {options.services} Services, {options.edits} edits: {figures}")
    return 0


def _measure(services: int, edits: int, cores: machine.Cores) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        manifest_directory, state_directory = directory / "manifests", directory / "state"
        manifest_directory.mkdir()
        state_directory.mkdir()
        with backends.running(directory, cores) as behind:
            port = free_node_ports().tcp
            edited = manifest_directory / "edited.yaml"
            _save(edited, "edited", backends.ADDRESSES[0], behind.http_port, port)
            for number in range(services - 1):
                path = manifest_directory / f"service-{number}.yaml"
                _save(path, f"service-{number}", backends.ADDRESSES[0], behind.http_port)
            command = run_command(manifest_directory, state_directory)
            log = directory / "svcproxy.log"
            with Child("svcproxy", command, cores.proxy, log, REPOSITORY) as child:
                wait.until_http_answers(child, (LISTEN_ADDRESS, port))
                return _edit_repeatedly(edited, behind.http_port, port, edits)


def _save(path: Path, name: str, host: str, port: int, node_port: int | None = None) -> float:
    """Write the Service `name` with `host` as its one endpoint to `path`; the time at which the file had its name."""
    text = yaml.safe_dump_all(manifests.service_with_slice(name, "TCP", [host], port, node_port))
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)
    return time.perf_counter()


def _edit_repeatedly(path: Path, http_port: int, node_port: int, edits: int) -> list[float]:
    draw = random.Random(1)
    latencies = []
    for number in range(1, edits + 1):
        time.sleep(draw.uniform(*PAUSE_SECONDS))
        host = backends.ADDRESSES[number % 2]
        saved = _save(path, "edited", host, http_port, node_port)
        latencies.append(_time_until_reached(host, (LISTEN_ADDRESS, node_port), saved) - saved)
    return latencies


def _time_until_reached(host: str, address: wait.Address, since: float) -> float:
    wanted = f"Hello from {host}\n".encode()
    while (now := time.perf_counter()) < since + EDIT_SECONDS:
        if wait.http_answer(address, PROBE_TIMEOUT).endswith(wanted):
            return time.perf_counter()
        if now - since > 0.5:
            time.sleep(0.01)
    raise ReloadFailedError(f"no connection reached {host} within {EDIT_SECONDS:.0f} s of the edit")


if __name__ == "__main__":
    sys.exit(main())
