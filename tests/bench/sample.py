"""Sample: what one measurement of one subject gave, and whether the proxy was what limited it.

Imports msgspec. Invariant: plain figures in the units that their Figure names; nothing is rounded or dropped.
"""

import enum

import msgspec

LOAD_SATURATED = 0.90
PROXY_SATURATED = 0.85
DISTURBED = 0.10


class Better(enum.Enum):
    MORE = "more"
    LESS = "less"


class Figure(msgspec.Struct, frozen=True):
    """One number that a row measures; `compared` is false for what only explains the others.

    `limited_by_load` marks figures that say nothing about a proxy which the load generator could not saturate.
    """

    name: str
    unit: str
    better: Better
    compared: bool = True
    limited_by_load: bool = False


class Sample(msgspec.Struct, frozen=True):
    """One measurement.

    Shares are of one core, processor time over wall time: of the proxy, of the load with the backends, and of
    everything else on the machine.
    """

    row: str
    subject: str
    round: int
    figures: dict[str, float]
    proxy_share: float
    load_share: float
    others_share: float

    @property
    def is_generator_bound(self) -> bool:
        """The load's core was full while the proxy's was not: the rate is the generator's, not the proxy's."""
        return self.load_share >= LOAD_SATURATED and self.proxy_share < PROXY_SATURATED

    @property
    def is_disturbed(self) -> bool:
        """Something else on the machine took processor time from the measurement."""
        return self.others_share >= DISTURBED
