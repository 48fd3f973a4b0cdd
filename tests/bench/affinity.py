"""The ClientIP affinity table with a million clients: its memory, the time of a look-up, and its longest pause.

Imports the proxy and `measurement`. Invariant: processor time of this thread alone, loop and call included in nothing
but the call; the pause is the longest single `store` while every entry in the table has expired and is being replaced.
"""

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import measurement
import msgspec

from proxy.affinity import AffinityGroup, AffinityTable

TIMEOUT = 10800
FIRST_CLIENT = 0x0A000000
RUNS = 5


class Figures(msgspec.Struct, frozen=True):
    """`mebibytes` of the filled table; the rest is microseconds, medians but for `longest_pause`."""

    clients: int
    mebibytes: float
    store: float
    lookup_in_order: float
    lookup_at_random: float
    longest_pause: float

    def __str__(self) -> str:
        return (
            f"{self.clients:,} clients: {self.mebibytes:.0f} MiB, a new one {self.store:.2f} us, look-up "
            f"{self.lookup_in_order:.2f} us in order and {self.lookup_at_random:.2f} us at random, "
            f"longest pause while all expire {self.longest_pause:.0f} us"
        )


def main() -> int:
    parser = measurement.parser("Measures the ClientIP affinity table.", "affinity")
    parser.add_argument("--clients", type=int, default=1_000_000)
    options = parser.parse_args()
    return measurement.take(options, lambda cores: measure(options.clients))


def measure(clients: int) -> Figures:
    """Fill, look up, and let everything expire."""
    before = _resident_mebibytes()
    table = AffinityTable(clients)
    group = table.open_group(TIMEOUT)
    everybody = range(FIRST_CLIENT, FIRST_CLIENT + clients)
    start = time.thread_time()
    for client in everybody:
        table.store(group, client, 1, 0.0)
    store = (time.thread_time() - start) / clients * 1e6
    mebibytes = _resident_mebibytes() - before
    draw = random.Random(1)
    in_order = _lookup(table, group, everybody)
    at_random = _lookup(table, group, [draw.choice(everybody) for _ in everybody])
    return Figures(clients, mebibytes, store, in_order, at_random, _longest_pause(table, group, clients))


def _lookup(table: AffinityTable, group: AffinityGroup, clients: Sequence[int]) -> float:
    """The median over RUNS of the microseconds of a look-up, without the loop around it."""
    found = []
    for _ in range(RUNS):
        start = time.thread_time()
        for _client in clients:
            pass
        empty = time.thread_time() - start
        start = time.thread_time()
        for client in clients:
            table.lookup(group, client, 1.0)
        found.append((time.thread_time() - start - empty) / len(clients) * 1e6)
    return sorted(found)[RUNS // 2]


def _longest_pause(table: AffinityTable, group: AffinityGroup, clients: int) -> float:
    longest = 0.0
    strangers = FIRST_CLIENT + clients
    for client in range(strangers, strangers + clients):
        start = time.thread_time()
        table.store(group, client, 1, 2.0 * TIMEOUT)
        longest = max(longest, time.thread_time() - start)
    return longest * 1e6


def _resident_mebibytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    sys.exit(main())
