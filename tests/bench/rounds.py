"""Rounds: takes every measurement of a run, in turn.

Imports only rooms of the benchmark. Invariant: within a round all subjects of a row follow one another directly, and
the first of them is another one in each round, so that neither drift nor order favours any.
"""

import sys
from collections.abc import Sequence

import load_wrk
from meter import Meter
from paced_load import PacedLoad
from report import readable
from rows import CONNECTIONS, Effort, Row
from sample import Sample
from subject import Direct, Place, Proxy, Subject

CALIBRATION_SECONDS = 1
PACE_SHARE = 0.5
GENERATOR_SHARE = 0.5


def calibrate(subjects: Sequence[Subject], place: Place) -> float:
    """The rate of the paced row in requests a second: half of the slowest subject's kept-alive peak.

    Where the generator and the backends would need more than GENERATOR_SHARE of their core for that, the rate is cut
    to what they can do in it; above, the latencies would be theirs.
    """
    peaks = []
    for subject in subjects:
        with subject.running(place) as running:
            load_wrk.run(running.http, CONNECTIONS, CALIBRATION_SECONDS)
            peaks.append(load_wrk.run(running.http, CONNECTIONS, CALIBRATION_SECONDS).rate)
            _tell(f"calibration: {subject.name}: {readable(peaks[-1])} requests/s")
    pace = PACE_SHARE * min(peaks)
    with Direct().running(place) as running, PacedLoad.connected(running.http, CONNECTIONS) as load:
        with Meter(running.pids, running.backend_pids) as meter:
            load.run(pace, CALIBRATION_SECONDS)
        pace *= min(1.0, GENERATOR_SHARE * meter.wall / meter.load)
    _tell(f"calibration: latency at {readable(pace)} requests/s, {pace / min(peaks):.0%} of the slowest peak")
    return pace


def measure(
    rows: Sequence[Row], subjects: Sequence[Subject], place: Place, far: Place | None, effort: Effort, rounds: int
) -> list[Sample]:
    """Every row with every subject that it applies to, `rounds` times; those with far backends in the place `far`.
    Raises ChildFailedError, LoadFailedError."""
    samples = []
    for number in range(rounds):
        first = number % len(subjects)
        order = [*subjects[first:], *subjects[:first]]
        for row in rows:
            where = far if row.is_far else place
            for subject in order if where is not None else ():
                assert where is not None
                if row.applies_to(subject.speaks_udp, isinstance(subject, Proxy)):
                    samples.append(_take(row, subject, where, effort, number))
                    _tell(f"round {number + 1}/{rounds}: {_told(samples[-1])}")
    return samples


def _take(row: Row, subject: Subject, place: Place, effort: Effort, number: int) -> Sample:
    with subject.running(place) as running:
        figures, meter = row.measure(running, effort)
    shares = (seconds / meter.wall for seconds in (meter.proxy, meter.load, meter.others))
    return Sample(row.name, subject.name, number, figures, *shares)


def _told(sample: Sample) -> str:
    figures = ", ".join(f"{name} {readable(value)}" for name, value in sample.figures.items())
    shares = f"proxy {sample.proxy_share:.0%}, load {sample.load_share:.0%}, others {sample.others_share:.0%}"
    return f"{sample.row}: {sample.subject}: {figures} [{shares}]"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
