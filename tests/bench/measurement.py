"""A measurement as a command: what every benchmark does before it measures, and with what it found.

Imports `machine` and msgspec. Invariants: a measurement that fails is one line and status 1; SIGTERM ends as an error
would, so that whatever was started is stopped; what is printed is in the JSON file too, beside machine and options.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import machine
import msgspec
from machine import Cores

RESULTS = Path("bench-results")

Figures = TypeVar("Figures")


class MeasurementFailedError(Exception):
    """There is no figure, because something did not do what it should; the text says what."""


def parser(about: str, name: str) -> argparse.ArgumentParser:
    """A parser with the flags that all have; `name` is that of the benchmark's files."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument(
        "--json", type=Path, metavar="FILE", default=RESULTS / f"{name}.json", help="every figure (%(default)s)"
    )
    return made


def add_plot(made: argparse.ArgumentParser, name: str) -> None:
    """The flag of those that draw."""
    made.add_argument(
        "--plot", type=Path, metavar="FILE.png", default=RESULTS / f"{name}.png", help="the chart (%(default)s)"
    )


def take(
    options: argparse.Namespace,
    measure: Callable[[Cores], Figures],
    programs: Sequence[str] = (),
    packages: Sequence[str] = machine.DEBIAN_PACKAGES,
) -> int:
    """Measure on this machine, print what was found as text and write it; gives the exit status."""
    cores = prepare(programs, packages)
    about = machine.describe(cores)
    print(about, flush=True)
    try:
        figures = measure(cores)
    except MeasurementFailedError as error:
        return failed(error)
    print(figures)
    write(options.json, {"machine": about, "options": _told(options), "figures": figures})
    return 0


def prepare(programs: Sequence[str] = (), packages: Sequence[str] = machine.DEBIAN_PACKAGES) -> Cores:
    """Make the process what a benchmark needs, its programs installed where that is possible."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine.ensure_programs(programs, packages)
    machine.raise_descriptor_limit()
    return machine.choose_cores()


def keep_to(core: int) -> None:
    """Run on this core from now on, and the children that are not told otherwise."""
    os.sched_setaffinity(0, {core})


def failed(error: MeasurementFailedError) -> int:
    """Say so; gives the exit status."""
    print(f"the benchmark failed: {error}", file=sys.stderr)
    return 1


def write(path: Path, document: object) -> None:
    """Write a JSON file, its directory with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")


def can_draw() -> bool:
    """Whether there is matplotlib; says so where there is none."""
    if find_spec("matplotlib") is None:
        print("no chart: matplotlib is not installed (pip install '.[bench]')", file=sys.stderr)
        return False
    return True


def _told(options: argparse.Namespace) -> dict[str, str | int]:
    return {name: value if isinstance(value, int) else str(value) for name, value in vars(options).items()}
