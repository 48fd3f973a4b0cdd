"""HTTP load from wrk: one thread, closed loop.

Imports msgspec and `measurement`. Invariant: a result is wrk's own counters, and a run in which any request
failed is an error, never a figure.
"""

import subprocess
from pathlib import Path

import msgspec
from measurement import MeasurementFailedError
from wait import Address

REPORT_SCRIPT = Path(__file__).with_name("report_requests.lua")
EXTRA_SECONDS = 30.0


class LoadFailedError(MeasurementFailedError):
    """The load generator could not do its work; the text says what it saw."""


class WrkResult(msgspec.Struct, frozen=True):
    """One run: requests answered in `microseconds`, failures of any kind, and latency percentiles in microseconds."""

    requests: int
    microseconds: int
    errors: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / (self.microseconds / 1e6)


def parse(output: str) -> WrkResult:
    """Find the JSON line in wrk's output. Raises LoadFailedError if there is none, or if requests failed."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if len(lines) != 1:
        raise LoadFailedError(f"wrk printed no result:\n{output}")
    result = msgspec.json.decode(lines[0], type=WrkResult)
    if result.errors or not result.requests:
        raise LoadFailedError(f"wrk saw {result.errors} errors in {result.requests} requests:\n{output}")
    return result


def run(address: Address, connections: int, seconds: int, close: bool = False) -> WrkResult:
    """Load `address` for whole `seconds`; with `close` every request has a connection of its own.

    Raises LoadFailedError.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(REPORT_SCRIPT)]
    if close:
        command += ["-H", "Connection: close"]
    command.append(f"http://{address[0]}:{address[1]}/")
    finished = subprocess.run(
        command,
        check=False,
        timeout=seconds + EXTRA_SECONDS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if finished.returncode:
        raise LoadFailedError(f"wrk ended with status {finished.returncode}: {finished.stdout.strip()}")
    return parse(finished.stdout)
