"""Looks at what open flows have carried, so that the bytes of a long transfer are counted as they pass.

Imports this room. Thousands of busy flows take tens of milliseconds to look at, which clients must not wait for.
Invariants: it takes its turns among the others', each for a bounded number of flows; a flow that ended meanwhile, and
was counted then, is not looked at.
"""

from collections.abc import Iterator
from itertools import islice

from proxy.dataplane.flow_accounts import Flow
from proxy.dataplane.resources import Resources
from proxy.dataplane.udp_flow import UdpFlow

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
            self._left = iter(_open_flows(self._resources))
            self.go_on()

    def go_on(self) -> None:
        """Look at the next ones."""
        resources = self._resources
        portion = list(islice(self._left, PORTION))
        still_open = [flow for flow in portion if flow in resources.relays or flow in resources.flows]
        resources.accounts.sample(still_open, self._since)
        self._is_looking = len(portion) == PORTION
        if self._is_looking:
            resources.reactor.again(self)

    def crashed(self) -> None:
        """All of them are looked at once more, with the next tick."""
        self._is_looking = False
        self._began = self._since


def _open_flows(resources: Resources) -> list[Flow]:
    flows: list[Flow] = list(resources.relays)
    for flow in resources.flows:
        assert isinstance(flow, UdpFlow)
        flows.append(flow)
    return flows
