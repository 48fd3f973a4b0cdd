"""Churn: what 1,000 changed Services a second add to the latency of a connection that none of them concerns.

Imports only rooms of the benchmark. Invariants: one connection, opened before the first change and held to the end,
asks at the same scheduled times in every phase; quiet phases and those in which the API server sends changes alternate,
and which of a pair is first alternates too; a run in which the proxy did not apply the changes is an error.
"""

import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.request import urlopen

import backends
import machine
import measurement
import msgspec
import psutil
from backends import Backends
from changing_api import ChangingAPI
from child import Child
from cluster_api import KUBECONFIG, service_address
from load_wrk import LoadFailedError
from meter import Meter
from paced_load import PacedLoad
from paired_phases import Latencies, Pair, Phase, Ratio, disturbance_of, latencies_of, ratio_of, wait_of
from subject import free_node_ports
from svcproxy import REPOSITORY
from wait import until, until_http_answers

NETWORK = "127.97.0.0"
REQUESTS_PER_SECOND = 500
WARM_UP_SECONDS = 1.0
SETTLE_SECONDS = 1.5
"""After changes: the proxy frees what they left once a second."""
API_SECONDS = 60.0
BENCH = Path(__file__).parent
_COUNTER = re.compile(r"^kubeproxy_sync_proxy_rules_endpoint_changes_total (\S+)$", re.MULTILINE)
_FEWEST_APPLIED = 0.95
"""Of the changes; two of one Service that come together are one."""
_LATE = 0.3


class Options(msgspec.Struct, frozen=True):
    """So many `pairs` of a quiet and a changing phase, of so many `seconds` each; `rate` changes a second among so many
    `services`."""

    services: int
    rate: int
    pairs: int
    seconds: int


class Figures(msgspec.Struct, frozen=True):
    """`quiet` and `changing` are of the latencies of all phases of the kind together. `late` is how many seconds after
    the end of their phase the last changes came, at worst: the API server has the load's core when nobody else wants
    it."""

    rate: int
    services: int
    ratio: Ratio
    quiet: Latencies
    changing: Latencies
    late: float
    pairs: list[Pair]

    def __str__(self) -> str:
        quiet, changing = (
            statistics.median(getattr(pair, kind).latencies.p99 for pair in self.pairs) for kind in ("quiet", "busy")
        )
        return (
            f"quiet, all together: {self.quiet}\n"
            f"{self.rate} of {self.services} Services changed a second: {self.changing}\n"
            f"p99 of a phase: {quiet:.0f} us quiet, {changing:.0f} us while Services changed (medians)\n"
            f"p99 {self.ratio}, median of {len(self.pairs)} pairs\n"
            f"{wait_of(self.pairs)}\n{disturbance_of(self.pairs)}{self._lateness()}"
        )

    def _lateness(self) -> str:
        if self.late < _LATE:
            return ""
        return f"\nWARNING: changes came up to {self.late:.1f} s late: fewer than {self.rate} a second"


def main() -> int:
    parser = measurement.parser("Measures a held connection's latency while Services change.", "churn")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=1000, help="changed Services a second")
    parser.add_argument("--pairs", type=int, default=10, help="of a quiet phase and one with changes (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of each phase (%(default)s)")
    parsed = parser.parse_args()
    options = Options(parsed.services, parsed.rate, parsed.pairs, parsed.seconds)
    return measurement.take(parsed, lambda cores: _measure(options, cores), machine.PROGRAMS)


def _measure(options: Options, cores: machine.Cores) -> Figures:
    measurement.keep_to(cores.load)
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        with backends.running(directory, cores) as behind:
            served = f"{backends.ADDRESSES[0]}:{behind.http_port}"
            server = [sys.executable, str(BENCH / "cluster_api.py"), f"--services={options.services}", "--endpoints=10"]
            server += ["--bursts", f"--network={NETWORK}", f"--served={served}", name]
            with Child("the API server", _unhurried(server), cores.load, directory / "server.log") as api:
                until(api, (directory / KUBECONFIG).exists, API_SECONDS)
                return _measure_proxy(options, cores, directory, api, behind)


def _unhurried(command: list[str]) -> list[str]:
    """The server shares the generator's core: what it does must not show in the latencies."""
    return ["chrt", "--idle", "0", *command]


def _measure_proxy(options: Options, cores: machine.Cores, directory: Path, api: Child, behind: Backends) -> Figures:
    metrics = free_node_ports().tcp
    command = [sys.executable, "-m", "proxy", "run", "--kubeconfig", str(directory / KUBECONFIG)]
    command += ["--state-dir", str(directory / "state"), "--hostname-override", "node-0"]
    command += ["--metrics-bind-address", f"127.0.0.1:{metrics}", "--healthz-bind-address", "127.0.0.1:0"]
    fixed = (service_address(NETWORK, 0), 80)
    with Child("svcproxy", command, cores.proxy, directory / "svcproxy.log", REPOSITORY) as child:
        until_http_answers(child, fixed)
        before = _changes_applied(metrics)
        with PacedLoad.connected(fixed, 1) as load:
            phases = _Phases(options, load, ChangingAPI(directory / KUBECONFIG), child, api.pids() + behind.pids)
            figures = phases.take()
        _check_applied(_changes_applied(metrics) - before, phases.changed)
        child.check_alive()
        return figures


class _Phases:
    """Takes the phases of a run. `changed` counts the changes that were sent."""

    def __init__(
        self, options: Options, load: PacedLoad, api: ChangingAPI, child: Child, load_pids: tuple[int, ...]
    ) -> None:
        self._options = options
        self._load = load
        self._api = api
        self._proxy_pids = child.pids()
        self._workers = [pid for pid in self._proxy_pids if "proxy.dataplane" in psutil.Process(pid).cmdline()]
        self._load_pids = load_pids
        self._quiet: list[float] = []
        self._changing: list[float] = []
        self._late = 0.0
        self.changed = 0

    def take(self) -> Figures:
        self._rest(WARM_UP_SECONDS)
        pairs = []
        for number in range(self._options.pairs):
            if number % 2:
                busy, quiet = self._take_changing(), self._take_quiet()
            else:
                quiet, busy = self._take_quiet(), self._take_changing()
            pairs.append(Pair(quiet, busy))
            print(f"pair {number + 1}/{self._options.pairs}: {_told(pairs[-1])}", file=sys.stderr, flush=True)
        self._api.close()
        pooled = latencies_of(self._quiet), latencies_of(self._changing)
        return Figures(self._options.rate, self._options.services, ratio_of(pairs), *pooled, self._late, pairs)

    def _take_quiet(self) -> Phase:
        return self._phase(self._quiet)

    def _take_changing(self) -> Phase:
        self._api.begin_bursts(self._options.rate, self._options.seconds)
        phase = self._phase(self._changing)
        ended = time.monotonic()
        self.changed += self._api.end_bursts()
        self._late = max(self._late, time.monotonic() - ended)
        self._rest(SETTLE_SECONDS)
        return phase

    def _rest(self, seconds: float) -> None:
        """Go on asking, and count nothing."""
        self._load.run(REQUESTS_PER_SECOND, seconds)

    def _phase(self, pool: list[float]) -> Phase:
        waits = [_waits(pid) for pid in self._workers]
        with Meter(self._proxy_pids, self._load_pids) as meter:
            latencies = self._load.run(REQUESTS_PER_SECOND, self._options.seconds).latencies
        wait = _mean_wait(waits, [_waits(pid) for pid in self._workers])
        pool += latencies
        shares = (seconds / meter.wall for seconds in (meter.proxy, meter.load, meter.others))
        return Phase(latencies_of(latencies), wait, *shares)


def _waits(pid: int) -> tuple[int, int]:
    """Nanoseconds for which the process was ready to run and did not, and how often it came to run
    (Documentation/scheduler/sched-stats.rst)."""
    _, waited, turns = map(int, Path(f"/proc/{pid}/schedstat").read_text().split())
    return waited, turns


def _mean_wait(before: Sequence[tuple[int, int]], after: Sequence[tuple[int, int]]) -> float:
    """Microseconds a turn."""
    waited, turns = (sum(each[part] for each in after) - sum(each[part] for each in before) for part in (0, 1))
    return waited / max(1, turns) / 1e3


def _told(pair: Pair) -> str:
    others = ", ".join(f"{phase.others_share:.0%}" for phase in (pair.quiet, pair.busy))
    return (
        f"p99 {pair.quiet.latencies.p99:.0f} us quiet, {pair.busy.latencies.p99:.0f} us while Services changed: "
        f"{pair.ratio:.2f} times [proxy {pair.busy.proxy_share:.0%} of a core; others {others}]"
    )


def _changes_applied(metrics: int) -> float:
    """How many changed slices the proxy has taken over."""
    with urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30) as answer:
        found = _COUNTER.search(answer.read().decode())
    if found is None:
        raise LoadFailedError("the proxy does not tell how many slices have changed")
    return float(found[1])


def _check_applied(applied: float, sent: int) -> None:
    """Raises LoadFailedError unless the proxy did what was measured."""
    if applied < sent * _FEWEST_APPLIED:
        raise LoadFailedError(f"the proxy applied {applied:.0f} of {sent} changes")


if __name__ == "__main__":
    sys.exit(main())
