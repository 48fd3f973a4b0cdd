"""Looks at what open flows have carried, so that the bytes of a long transfer are counted as they pass.

Thousands of busy flows take tens of milliseconds to look at, and clients must not wait for that. Invariants: each turn
looks at a bounded number of flows, and others have theirs in between; a flow that ended meanwhile was counted then, and
is not looked at.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import cast

from proxy.dataplane.flow_accounts import Flow
from proxy.dataplane.resources import Resources

INTERVAL = 1.0
"""Seconds from one look at everything to the next."""
PORTION = 256
"""Flows a turn: half a millisecond where all of them are busy."""


class FlowSampler:
    """`look` with every tick; it asks the reactor for the turns it needs."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._began = self._since = 0.0
        self._left: Iterator[Flow] = iter(())
        self._is_looking = False

    def look(self, now: float) -> None:
        """Begin, if it is time to."""
        if not self._is_looking and now - self._began >= INTERVAL:
            self._since, self._began = self._began, now
            # Two copies of so many references: nothing is looked at yet.
            self._left = chain(list(self._resources.relays), cast("list[Flow]", list(self._resources.flows)))
            self.go_on()

    def go_on(self) -> None:
        """Look at the next ones."""
        resources = self._resources
        portion = list(islice(self._left, PORTION))
        resources.accounts.sample(self._still_open(portion), self._since)
        self._is_looking = len(portion) == PORTION
        if self._is_looking:
            resources.reactor.again(self)

    def crashed(self) -> None:
        """All of them are looked at once more, with the next tick."""
        self._is_looking = False
        self._began = self._since

    def _still_open(self, flows: Iterable[Flow]) -> Iterator[Flow]:
        resources = self._resources
        return (flow for flow in flows if flow in resources.relays or flow in resources.flows)
