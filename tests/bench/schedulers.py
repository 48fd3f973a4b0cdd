"""What one choice costs: nanoseconds a pick for every scheduler, at 10, 100 and 1,000 backends.

Imports proxy.schedulers and the benchmark's report. Invariant: keys are drawn before the clock starts, the cost of the
empty loop is taken off, and the figure is the median of REPEATS runs.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from report import markdown, readable

from proxy.schedulers.backend import Backend
from proxy.schedulers.registry import create, names

SIZES = (10, 100, 1000)
REPEATS = 5
RUN_NANOSECONDS = 30_000_000
KEYS = 256


def main() -> int:
    keys = [random.Random(1).getrandbits(32) for _ in range(KEYS)]
    rows = []
    for name in names():
        rows.append((name, *(readable(pick_nanoseconds(name, size, keys)) for size in SIZES)))
        print(f"{name} done", file=sys.stderr, flush=True)
    print(markdown(("ns a pick", *(f"{size:,} backends" for size in SIZES)), rows))
    return 0


def pick_nanoseconds(name: str, size: int, keys: list[int]) -> float:
    """The median cost of one pick with `size` backends, as they are after a busy while: some connections on each.

    The counters stand still meanwhile: a pick by itself changes none.
    """
    draw = random.Random(size)
    scheduler = create(name, random.Random(2))
    backends = [Backend(f"10.0.{number // 250}.{number % 250 + 1}", 80) for number in range(size)]
    for backend in backends:
        backend.active = draw.randrange(20)
        backend.inactive = draw.randrange(20)
    scheduler.update(backends)
    empty = _nanoseconds_a_call(lambda key, now: None, keys)
    return max(0.0, _nanoseconds_a_call(scheduler.pick, keys) - empty)


def _nanoseconds_a_call(call: Callable[[int, float], object], keys: list[int]) -> float:
    """Rounds over all keys until RUN_NANOSECONDS are over, REPEATS times; the median of the runs."""
    return statistics.median(_one_run(call, keys) for _ in range(REPEATS))


def _one_run(call: Callable[[int, float], object], keys: list[int]) -> float:
    calls = 0
    started = time.thread_time_ns()
    while (elapsed := time.thread_time_ns() - started) < RUN_NANOSECONDS:
        for key in keys:
            call(key, 0.0)
        calls += len(keys)
    return elapsed / calls


if __name__ == "__main__":
    sys.exit(main())
