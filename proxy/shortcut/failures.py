"""Which endpoints are left out of the choice for a while because they refused connections.

Pure: the clock is an argument. Invariant: an endpoint is left out for as long as the relay would leave it out
(`dataplane.upstream`): a second, twice as long each time in a row, at most half a minute.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from proxy.dataplane.upstream import FIRST_PENALTY, LONGEST_PENALTY
from proxy.shortcut.pool_slots import Place

_MOST_IN_A_ROW = 10


class _Record(NamedTuple):
    """`taken` is how many connections the endpoint had taken when it refused last."""

    until: float
    in_a_row: int
    taken: int


class Failures:
    """By pool and place."""

    def __init__(self) -> None:
        self._records: dict[str, dict[Place, _Record]] = {}

    def of(self, pool: str, now: float) -> frozenset[Place]:
        """The endpoints of a pool that are left out now."""
        return frozenset(place for place, record in self._records.get(pool, {}).items() if record.until > now)

    def failed(self, pool: str, place: Place, taken: int, now: float) -> None:
        """An endpoint refused. `taken` is how many connections it has taken so far: more than at the last refusal means
        that it was well in between."""
        records = self._records.setdefault(pool, {})
        before = records.get(place)
        if before is not None and before.until > now:
            return
        in_a_row = 0 if before is None or taken > before.taken else min(before.in_a_row + 1, _MOST_IN_A_ROW)
        penalty = min(LONGEST_PENALTY, FIRST_PENALTY * 2.0**in_a_row)
        records[place] = _Record(now + penalty, in_a_row, taken)

    def over(self, since: float, now: float) -> Iterator[str]:
        """The pools of which an endpoint's time was over after `since`."""
        for pool, records in self._records.items():
            if any(since < record.until <= now for record in records.values()):
                yield pool

    def keep(self, pool: str, places: Iterable[Place]) -> None:
        """Forget the endpoints of a pool that are not among these."""
        records = self._records.get(pool)
        if records is None:
            return
        kept = {place: records[place] for place in places if place in records}
        if kept:
            self._records[pool] = kept
        else:
            del self._records[pool]
