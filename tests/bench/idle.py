"""Idle: what 9,000 connections that do nothing cost one worker, in memory and in processor time.

Imports only rooms of the benchmark. Invariant: every connection carried one request before it went idle, and all of
them are still open when the figures are taken; within the usual limit of 20,000 descriptors a worker holds no more.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import backends
import idle_load
import machine
import msgspec
from child import ChildFailedError
from load_wrk import LoadFailedError
from meter import Meter, resident_bytes
from subject import Place, Running
from svcproxy import Svcproxy

SETTLE_SECONDS = 1.0


class Figures(msgspec.Struct, frozen=True):
    """`growth` is KiB of resident memory for each connection; shares are of one core."""

    growth: float
    resident: float
    share_without: float
    share_with: float


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what idle connections cost.")
    parser.add_argument("--connections", type=int, default=9000)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine.ensure_programs()
    machine.raise_descriptor_limit()
    cores = machine.choose_cores()
    print(machine.describe(cores), flush=True)
    os.sched_setaffinity(0, {cores.load})
    try:
        figures = _measure(options.connections, options.seconds, cores)
    except (ChildFailedError, LoadFailedError) as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    print(
        f"{options.connections:,} idle connections: {figures.growth:.2f} KiB each on {figures.resident:.1f} MiB; "
        f"{figures.share_with:.2%} of a core, {figures.share_without:.2%} without them"
    )
    return 0


def _measure(connections: int, seconds: int, cores: machine.Cores) -> Figures:
    with tempfile.TemporaryDirectory(prefix="svcproxy-bench-") as name:
        directory = Path(name)
        with backends.running(directory, cores) as behind:
            place = Place(directory, cores, behind)
            with Svcproxy().running(place) as running:
                share_without = _share(running, seconds)
                before = resident_bytes(running.pids)
                with idle_load.held(running.http, connections):
                    share_with = _share(running, seconds)
                    after = resident_bytes(running.pids)
    return Figures((after - before) / 1024 / connections, before / 2**20, share_without, share_with)


def _share(running: Running, seconds: int) -> float:
    """Processor time over wall time while nothing happens."""
    time.sleep(SETTLE_SECONDS)
    with Meter(running.pids, running.backend_pids) as meter:
        time.sleep(seconds)
    return meter.proxy / meter.wall


if __name__ == "__main__":
    sys.exit(main())
