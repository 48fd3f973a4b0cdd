"""The benchmark: svcproxy beside HAProxy, nginx and a direct connection, in one run on one machine.

Invariant: a peer that is missing or does not start, and a load that fails, end the
run with an error and status 1; nothing that was started is left behind.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import backends
import compiled_wheel
import machine
import measurement
import msgspec
import report
from bare import BareLoop
from far_network import far_network
from haproxy import HAProxy, TunedHAProxy
from machine import Cores, Machine
from measurement import MeasurementFailedError
from nginx import Nginx, TunedNginx
from rounds import calibrate, measure
from rows import ALL_ROWS, Effort, Row
from sample import Sample
from subject import Direct, Place, Subject
from svcproxy import CompiledSvcproxy, ShortcutSvcproxy, Svcproxy

SUBJECTS: tuple[Subject, ...] = (
    Svcproxy(),
    CompiledSvcproxy(),
    ShortcutSvcproxy(),
    TunedHAProxy(),
    HAProxy(),
    TunedNginx(),
    Nginx(),
    BareLoop(),
    Direct(),
)
SUBJECT_NAMES = [subject.name for subject in SUBJECTS]
ROW_NAMES = [row.name for row in ALL_ROWS]
TITLES = {row.name: row.title for row in ALL_ROWS}
IDLE_CONNECTIONS = 2000


class Result(msgspec.Struct, frozen=True):
    """What --json writes: the machine, the settings, the ratios, and every single measurement."""

    machine: Machine
    effort: Effort
    rounds: int
    comparisons: list[report.Comparison]
    samples: list[Sample]


def main() -> int:
    options = _options()
    cores = measurement.prepare(machine.PROGRAMS)
    about = machine.describe(cores)
    print(about, flush=True)
    if CompiledSvcproxy.name in options.subjects and not compiled_wheel.is_installed():
        options.subjects.remove(CompiledSvcproxy.name)
    try:
        effort, samples = _run(options, cores)
    except MeasurementFailedError as error:
        return measurement.failed(error)
    _publish(about, effort, samples, options)
    return 0


def _options() -> argparse.Namespace:
    parser = measurement.parser("Measures svcproxy, HAProxy and nginx side by side on this machine.", "bench")
    measurement.add_plot(parser, "bench")
    parser.add_argument("--quick", action="store_true", help="one short round, under three minutes")
    parser.add_argument("--rounds", type=int, help="rounds (default 5, with --quick 1)")
    parser.add_argument("--seconds", type=int, help="seconds a measurement (default 5, with --quick 1)")
    parser.add_argument("--rows", type=_some_of(ROW_NAMES), default=ROW_NAMES, help=", ".join(ROW_NAMES))
    help_on_subjects = f"{', '.join(SUBJECT_NAMES)} (default all but the bare loop, with --quick without the compiled)"
    parser.add_argument("--subjects", type=_some_of(SUBJECT_NAMES), help=help_on_subjects)
    options = parser.parse_args()
    left_out = {BareLoop.name, CompiledSvcproxy.name} if options.quick else {BareLoop.name}
    options.subjects = options.subjects or [name for name in SUBJECT_NAMES if name not in left_out]
    default = 1 if options.quick else 5
    options.rounds = options.rounds or default
    options.seconds = options.seconds or default
    return options


def _some_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    """A parser of comma-separated names; argparse reports the ValueError by this function's name."""

    def names_separated_by_commas(text: str) -> list[str]:
        chosen = [name.strip() for name in text.split(",")]
        unknown = sorted(set(chosen) - set(names))
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(names)}")
        return chosen

    return names_separated_by_commas


def _run(options: argparse.Namespace, cores: Cores) -> tuple[Effort, list[Sample]]:
    rows = [row for row in ALL_ROWS if row.name in options.rows]
    subjects = [subject for subject in SUBJECTS if subject.name in options.subjects]
    # wrk and the Python generators run on the load's core because this process does.
    measurement.keep_to(cores.load)
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        with backends.running(directory, cores) as behind:
            place = Place(directory, cores, behind)
            pace = calibrate(subjects, place) if "latency" in options.rows else 0.0
            effort = Effort(options.seconds, IDLE_CONNECTIONS, pace)
            with _far_place(rows, directory, cores) as far:
                return effort, measure(rows, subjects, place, far, effort, options.rounds)


@contextmanager
def _far_place(rows: Sequence[Row], directory: Path, cores: Cores) -> Iterator[Place | None]:
    """Where rows with far backends are measured; none where nobody asks, or no namespace is permitted."""
    with ExitStack() as stack:
        place = None
        if any(row.is_far for row in rows):
            try:
                network = stack.enter_context(far_network())
            except (subprocess.CalledProcessError, FileNotFoundError) as error:
                print(f"far backends are left out: {error}", flush=True)
            else:
                delay = f"a delay of {network.delay}" if network.delay else "no delay: this kernel has no netem"
                print(f"far backends: in a network namespace behind a veth, {delay}", flush=True)
                behind = stack.enter_context(backends.running_far(directory / "far", cores, network))
                place = Place(directory, cores, behind)
        yield place


def _publish(about: Machine, effort: Effort, samples: list[Sample], options: argparse.Namespace) -> None:
    columns = {row.name: row.figures for row in ALL_ROWS if row.name in options.rows}
    subjects = [name for name in SUBJECT_NAMES if name in options.subjects]
    table = report.summarize(samples, columns)
    caption = f"{about}\n{options.rounds} round(s) of {effort.seconds} s"
    if effort.pace:
        caption += f"; latency at {effort.pace:,.0f} requests/s"
    print(f"\n{report.render(table, columns, TITLES, subjects)}\n\n{caption}\n{report.disturbances(samples)}")
    result = Result(about, effort, options.rounds, report.compare(table, columns), samples)
    measurement.write(options.json, result)
    print(f"every measurement: {options.json}")
    if not measurement.can_draw():
        return
    import plot

    options.plot.parent.mkdir(parents=True, exist_ok=True)
    plot.draw(table, columns, TITLES, subjects, caption, options.plot)
    print(f"chart: {options.plot}")


if __name__ == "__main__":
    sys.exit(main())
