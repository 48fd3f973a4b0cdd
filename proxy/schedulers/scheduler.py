"""The interface that every scheduler implements.

Invariant: `destinations` is the kernel's list order, newest destination first, and an update
with the same backends and weights leaves every piece of scheduler state as it was.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from random import Random
from typing import ClassVar, Self

from proxy.schedulers.backend import Backend


class KeyedBy(enum.Enum):
    """What the `key` argument of `pick` must be, so that the data plane works it out only where it is used."""

    NOTHING = "nothing"
    SOURCE = "source"
    DESTINATION = "destination"


class Scheduler(ABC):
    """One choice rule over one pool's backends. Not thread-safe; one instance a pool and worker.

    `destinations` is the kernel's list, newest first; `weights` are theirs as of the last update; `usable` are those
    of a weight above 0, in the same order. An update replaces these lists and never changes one in place. `joined` is
    how many of the destinations, from the head on, came with the last update.
    `uses_counts` says that `pick` compares the backends' live counters, which must then be up to date, and
    `uses_inactive` that the inactive ones are among them.
    """

    name: ClassVar[str]
    keyed_by: ClassVar[KeyedBy] = KeyedBy.NOTHING
    uses_counts: ClassVar[bool] = False
    uses_inactive: ClassVar[bool] = False

    def __init__(self, random: Random) -> None:
        self.random = random
        self.destinations: list[Backend] = []
        self.usable: list[Backend] = []
        self.weights: list[int] = []
        self.joined = 0

    def update(self, backends: Sequence[Backend]) -> None:
        """Take the pool's new set of backends; their `weight` fields are already the new ones.

        Destinations that stay keep their place, new ones go to the head in the order given, as the kernel inserts
        them (net/netfilter/ipvs/ip_vs_ctl.c, __ip_vs_add_dest).
        """
        wanted = set(backends)
        kept = [backend for backend in self.destinations if backend in wanted]
        known = set(kept)
        joined = [backend for backend in backends if backend not in known]
        destinations = joined[::-1] + kept
        weights = [backend.weight for backend in destinations]
        if destinations == self.destinations and weights == self.weights:
            return
        self.destinations = destinations
        self.weights = weights
        self.joined = len(joined)
        self.usable = [backend for backend in destinations if backend.weight > 0]
        self.rebuild()

    def rebuild(self) -> None:  # noqa: B027 - stateless schedulers have nothing to rebuild
        """Called after `destinations` or weights changed; schedulers with derived state recompute it here."""

    @abstractmethod
    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        """Choose a backend for a new flow, or None where the formula has no destination.

        `key` is the folded address named by `keyed_by` (IPv4 as an unsigned 32-bit integer, IPv6 the XOR of its four
        32-bit words) and 0 otherwise; `now` is monotonic seconds; `without` holds backends that must not be chosen
        (already tried for this flow, or refusing of late) and is almost always empty.
        """

    def copy(self) -> Self:
        """One of the same backends that goes on as this one will, each of them untouched by what the other does.

        A scheduler with state of its own copies what `pick` changes in place, and shares what is only replaced.
        """
        other = type(self)(self.random)
        other.destinations, other.usable, other.weights = self.destinations, self.usable, self.weights
        return other

    def foresee(self, key: int, now: float, without: Collection[Backend] = ()) -> Sequence[tuple[Backend, float]]:
        """What `pick` would choose with the same arguments, and with what chance each; changes nothing.

        One backend of chance 1, found by a pick on a copy, unless the scheduler draws; none where `pick` would give
        None.
        """
        chosen = self.copy().pick(key, now, without)
        return () if chosen is None else ((chosen, 1.0),)
