"""The registry: every scheduler under the name that users write.

Invariant: immutable, and a scheduler's key is its own `name`.
"""

from collections.abc import Mapping
from random import Random
from types import MappingProxyType

from proxy.schedulers.dh import DestinationHash
from proxy.schedulers.fo import Failover
from proxy.schedulers.lblc import LocalityLeastConnection
from proxy.schedulers.lblcr import LocalityLeastConnectionReplicated
from proxy.schedulers.lc import LeastConnection
from proxy.schedulers.mh import Maglev
from proxy.schedulers.nq import NeverQueue
from proxy.schedulers.ovf import Overflow
from proxy.schedulers.random_choice import RandomChoice
from proxy.schedulers.rr import RoundRobin
from proxy.schedulers.scheduler import Scheduler
from proxy.schedulers.sed import ShortestExpectedDelay
from proxy.schedulers.sh import SourceHash
from proxy.schedulers.twos import TwoChoices
from proxy.schedulers.wlc import WeightedLeastConnection
from proxy.schedulers.wrr import WeightedRoundRobin

SCHEDULERS: Mapping[str, type[Scheduler]] = MappingProxyType(
    {
        scheduler.name: scheduler
        for scheduler in (
            RoundRobin,
            WeightedRoundRobin,
            LeastConnection,
            WeightedLeastConnection,
            ShortestExpectedDelay,
            NeverQueue,
            LocalityLeastConnection,
            LocalityLeastConnectionReplicated,
            SourceHash,
            DestinationHash,
            Maglev,
            Failover,
            Overflow,
            TwoChoices,
            RandomChoice,
        )
    }
)


def names() -> tuple[str, ...]:
    """Every name that `create` knows."""
    return tuple(SCHEDULERS)


def create(name: str, random: Random) -> Scheduler:
    """A new scheduler without backends. Raises ValueError, naming what there is, for an unknown name."""
    scheduler = SCHEDULERS.get(name)
    if scheduler is None:
        raise ValueError(f'unknown scheduler "{name}": choose one of {", ".join(SCHEDULERS)}')
    return scheduler(random)
