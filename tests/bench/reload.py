"""Reload latency: from a saved manifest to the new behaviour, with 1,000 Services behind the proxy.

Imports only rooms of the benchmark. Invariant: the clock starts when the edited file has its name (written beside it
and renamed over it, as editors do) and stops when a new connection reaches the new endpoint; every wait is bounded.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

import backends
import machine
import manifests
import measurement
import msgspec
import wait
import yaml
from child import Child
from percentile import milliseconds
from subject import LISTEN_ADDRESS, free_node_ports
from svcproxy import REPOSITORY, run_command

EDIT_SECONDS = 10.0
PROBE_TIMEOUT = 2.0
# A pause of random length between edits, so that they do not fall in step with anything periodic in the proxy.
PAUSE_SECONDS = (0.05, 0.25)


class ReloadFailedError(measurement.MeasurementFailedError):
    """The proxy did not follow an edit in time."""


class Figures(msgspec.Struct, frozen=True):
    """Seconds from each saved manifest to the new behaviour."""

    services: int
    latencies: list[float]

    def __str__(self) -> str:
        what = f"saved manifest to new behaviour, {self.services} Services, {len(self.latencies)} edits"
        return f"{what}: {milliseconds(self.latencies)}"


def main() -> int:
    parser = measurement.parser("Measures the time from a saved manifest to the new behaviour.", "reload")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=50)
    options = parser.parse_args()
    return measurement.take(options, lambda cores: _measure(options.services, options.edits, cores), machine.PROGRAMS)


def _measure(services: int, edits: int, cores: machine.Cores) -> Figures:
    measurement.keep_to(cores.load)
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
                return Figures(services, _edit_repeatedly(edited, behind.http_port, port, edits))


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
