"""Idle: what 9,000 connections that do nothing cost one worker, in memory and in processor time.

Imports only rooms of the benchmark. Invariant: every connection carried one request before it went idle, and all of
them are still open when the figures are taken; within the usual limit of 20,000 descriptors a worker holds no more.
"""

import sys
import tempfile
import time
from pathlib import Path

import backends
import idle_load
import machine
import measurement
import msgspec
from meter import Meter, resident_bytes
from subject import Place, Running
from svcproxy import Svcproxy

SETTLE_SECONDS = 1.0


class Figures(msgspec.Struct, frozen=True):
    """`growth` is KiB of resident memory for each connection, on `resident` MiB; shares are of one core."""

    connections: int
    growth: float
    resident: float
    share_without: float
    share_with: float

    def __str__(self) -> str:
        return (
            f"{self.connections:,} idle connections: {self.growth:.2f} KiB each on {self.resident:.1f} MiB; "
            f"{self.share_with:.2%} of a core, {self.share_without:.2%} without them"
        )


def main() -> int:
    parser = measurement.parser("Measures what idle connections cost.", "idle")
    parser.add_argument("--connections", type=int, default=9000)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    return measurement.take(
        options, lambda cores: _measure(options.connections, options.seconds, cores), machine.PROGRAMS
    )


def _measure(connections: int, seconds: int, cores: machine.Cores) -> Figures:
    measurement.keep_to(cores.load)
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
    return Figures(connections, (after - before) / 1024 / connections, before / 2**20, share_without, share_with)


def _share(running: Running, seconds: int) -> float:
    """Processor time over wall time while nothing happens."""
    time.sleep(SETTLE_SECONDS)
    with Meter(running.pids, running.backend_pids) as meter:
        time.sleep(seconds)
    return meter.proxy / meter.wall


if __name__ == "__main__":
    sys.exit(main())
