"""The ClientIP affinity table with a million clients: its memory, the time of a look-up, and its longest pause.

Imports the proxy and `measurement`. Invariant: processor time of this thread alone, loop and call included in nothing
but the call; a pause is the longest single `store`, while the table fills and while every entry of it has expired and
is being replaced.
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
FIRST_CLIENT = {4: 0x0A000000, 6: 0x20010DB8 << 96}
FREE_BITS = {4: 32, 6: 96}
RUNS = 5


class Figures(msgspec.Struct, frozen=True):
    """`mebibytes` of the filled table; the rest is microseconds, medians but for the longest pauses."""

    family: int
    clients: int
    mebibytes: float
    store: float
    lookup_in_order: float
    lookup_at_random: float
    longest_pause_filling: float
    longest_pause_expiring: float

    def __str__(self) -> str:
        return (
            f"{self.clients:,} IPv{self.family} clients: {self.mebibytes:.0f} MiB, a new one {self.store:.2f} us, "
            f"look-up {self.lookup_in_order:.2f} us in order and {self.lookup_at_random:.2f} us at random, "
            f"longest pause while filling {self.longest_pause_filling:.0f} us, while all expire "
            f"{self.longest_pause_expiring:.0f} us"
        )


def main() -> int:
    parser = measurement.parser("Measures the ClientIP affinity table.", "affinity")
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--family", type=int, choices=(4, 6), default=4, help="of the clients' addresses")
    parser.add_argument("--spread", action="store_true", help="clients all over the address space, not neighbours")
    options = parser.parse_args()
    return measurement.take(options, lambda cores: measure(options.family, options.clients, options.spread))


def measure(family: int, clients: int, spread: bool) -> Figures:
    """Fill, look up, let everything expire, and fill another."""
    draw = random.Random(1)
    everybody, strangers = _clients(family, clients, draw if spread else None)
    before = _resident_mebibytes()
    table = AffinityTable(clients)
    group = table.open_group(TIMEOUT)
    start = time.thread_time()
    for client in everybody:
        table.store(group, client, 1, 0.0)
    store = (time.thread_time() - start) / clients * 1e6
    mebibytes = _resident_mebibytes() - before
    in_order = _lookup(table, group, everybody)
    # New numbers, in memory one after the other, so that nothing but the table is met at random.
    at_random = _lookup(table, group, [draw.choice(everybody) + 0 for _ in everybody])
    expiring = _longest_pause(table, group, strangers, 2.0 * TIMEOUT)
    table = AffinityTable(clients)
    filling = _longest_pause(table, table.open_group(TIMEOUT), everybody, 0.0)
    return Figures(family, clients, mebibytes, store, in_order, at_random, filling, expiring)


def _clients(family: int, clients: int, draw: random.Random | None) -> tuple[Sequence[int], Sequence[int]]:
    """Those that fill the table and those that replace them: neighbours, or random ones where there is a `draw`."""
    first = FIRST_CLIENT[family]
    if draw is None:
        return range(first, first + clients), range(first + clients, first + 2 * clients)
    everybody, strangers = ([first ^ draw.getrandbits(FREE_BITS[family]) for _ in range(clients)] for _ in range(2))
    return everybody, strangers


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


def _longest_pause(table: AffinityTable, group: AffinityGroup, clients: Sequence[int], now: float) -> float:
    longest = 0.0
    for client in clients:
        start = time.thread_time()
        table.store(group, client, 1, now)
        longest = max(longest, time.thread_time() - start)
    return longest * 1e6


def _resident_mebibytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    sys.exit(main())
