"""What was dropped at the frontends of each pool, for the metrics.

Drops are read when they are asked for, and whenever a frontend is about to be something else; so they cost nothing in
between. Invariants: what a frontend dropped stays its pool's when the frontend goes or moves on; the count of a pool
only grows, and goes with the last pool of its Service port.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Set

from proxy.capture.capture import Captured
from proxy.capture.drop_meter import DropCause
from proxy.plan.frontend import FrontendKey


class DropLedger:
    """By pool key."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[DropCause]] = {}
        self._followed: dict[str, dict[FrontendKey, Captured]] = {}

    def follow(self, pool: str, key: FrontendKey, captured: Captured) -> None:
        """From now on what is dropped at the frontend is this pool's."""
        self._followed.setdefault(pool, {})[key] = captured
        self._counts.setdefault(pool, Counter())

    def leave(self, pool: str, key: FrontendKey) -> None:
        """Count a last time: the frontend is about to close, or to be another pool's."""
        followed = self._followed.get(pool)
        if followed is None or key not in followed:
            return
        self._counts[pool] += followed.pop(key).take_drops()
        if not followed:
            del self._followed[pool]

    def forget(self, pool: str, heir: Callable[[], str | None]) -> None:
        """The pool is gone. What it has comes to another of the same Service port, if there is one; should it come
        back, it is another one."""
        self._followed.pop(pool, None)
        counts = self._counts.pop(pool, None)
        inheriting = heir() if counts else None
        if counts is not None and inheriting is not None:
            self._counts.setdefault(inheriting, Counter()).update(counts)

    def pools(self) -> Set[str]:
        """Those at whose frontends anything may have been dropped."""
        return self._counts.keys()

    def of(self, pool: str) -> Mapping[DropCause, int]:
        """How many packets were dropped, by cause."""
        counts = self._counts.get(pool)
        if counts is None:
            return {}
        for captured in self._followed.get(pool, {}).values():
            counts += captured.take_drops()
        return counts
