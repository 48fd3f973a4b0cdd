"""From a pool to the slots that its programs choose from: pure.

The relay's own schedulers make the order, the sequences and the tables, so that both choose alike. Invariant: a slot of
a weight above 0 is an endpoint of a weight above 0 that is not failing, unless all are failing.
"""

from collections.abc import Collection, Sequence
from math import gcd
from random import Random
from typing import NamedTuple

from proxy.plan.frontend import Pool
from proxy.schedulers.backend import Backend
from proxy.schedulers.bucket_scheduler import BucketScheduler
from proxy.schedulers.mh import Maglev
from proxy.schedulers.registry import create
from proxy.schedulers.wrr import WeightedRoundRobin
from proxy.shortcut.layout import Rule

Place = tuple[str, int]

MOST_SLOTS = 4_096
"""The most slots of one pool whose weights are written out; beyond that the weights are made smaller in proportion."""

_RULES = {
    "rr": Rule.TURN,
    "wrr": Rule.TURN,
    "fo": Rule.TURN,
    "random": Rule.DRAW,
    "sh": Rule.SOURCE,
    "dh": Rule.DESTINATION,
    "mh": Rule.MAGLEV,
    "twos": Rule.TWO_DRAWS,
    "lc": Rule.LEAST,
    "wlc": Rule.LEAST,
    "sed": Rule.DELAY,
    "nq": Rule.IDLE_FIRST,
    "ovf": Rule.FIRST_FREE,
}


class Slots(NamedTuple):
    """`slots` are an endpoint's place and a weight each, in order. `hash_bits` is for rules that hash an address."""

    rule: Rule
    slots: tuple[tuple[Place, int], ...]
    hash_bits: int = 0


def is_supported(scheduler: str) -> bool:
    """Whether the programs have the scheduler's rule."""
    return scheduler in _RULES


class SlotWriter:
    """Makes the slots of one pool. It keeps the pool's scheduler, so that endpoints keep their order over changes as
    they do in the relay."""

    def __init__(self, scheduler: str) -> None:
        self.scheduler = scheduler
        self._scheduler = create(scheduler, Random(0))
        self._backends: dict[Place, Backend] = {}
        self._turn = 0
        self._round = 0
        self._without: frozenset[Backend] = frozenset()

    def slots(self, pool: Pool, failing: Collection[Place] = (), turn: int = 0) -> Slots:
        """The slots of the pool as it is now. `failing` are endpoints to leave out for now. `turn` is how many turns
        the programs have taken since the pool was made; they go on where they are."""
        self._take_turns(turn - self._turn)
        self._turn = turn
        self._backends = {
            (target.address, target.port): self._backend(target.address, target.port, target.weight)
            for target in pool.targets
        }
        self._scheduler.update(list(self._backends.values()))
        left = [each for each in self._scheduler.usable if (each.address, each.port) not in failing]
        usable = left or self._scheduler.usable
        rule = _RULES[self.scheduler]
        self._without = frozenset(self._scheduler.usable).difference(usable)
        self._round = 0
        if isinstance(self._scheduler, Maglev):
            return Slots(rule, _marked(self._scheduler.owners(), usable))
        if isinstance(self._scheduler, BucketScheduler):
            owners = _owners(self._scheduler, usable)
            return Slots(rule, _weightless(owners), max(0, len(owners).bit_length() - 1))
        return Slots(rule, self._listed(rule, usable))

    def _take_turns(self, turns: int) -> None:
        """Let the scheduler choose as often as the programs did since the last time. After a first round every round
        ends as it began, so that whole ones can be left out."""
        needed = turns if turns < 2 * self._round else self._round + turns % max(1, self._round)
        for _ in range(needed if self._round else 0):
            self._scheduler.pick(0, 0.0, self._without)

    def _next_round(self, usable: Sequence[Backend]) -> list[Backend]:
        """What the scheduler chooses until it begins anew, so that the next turn is where the programs look for it."""
        scheduler = self._scheduler
        step = scheduler.step if isinstance(scheduler, WeightedRoundRobin) else 0
        self._round = sum(each.weight for each in usable) // step if step else len(usable)
        if self._round > max(MOST_SLOTS, len(usable)):
            self._round = 0
            return _one_round(usable)
        following = scheduler.copy()
        picked = [following.pick(0, 0.0, self._without) for _ in range(self._round)]
        first = self._turn % self._round if self._round else 0
        return [each for each in picked[len(picked) - first :] + picked[: len(picked) - first] if each is not None]

    def _backend(self, address: str, port: int, weight: int) -> Backend:
        known = self._backends.get((address, port))
        if known is None:
            return Backend(address, port, weight)
        known.weight = weight
        return known

    def _listed(self, rule: Rule, usable: Sequence[Backend]) -> tuple[tuple[Place, int], ...]:
        name = self.scheduler
        if name in ("rr", "wrr"):
            return _weightless(self._next_round(usable))
        if name == "fo":
            return _weightless(_heaviest_first(usable)[:1])
        if name == "ovf":
            return _weighted(_heaviest_first(usable))
        if rule is Rule.DRAW:
            return _weightless(_by_weight(usable))
        if rule is Rule.TWO_DRAWS:
            # The kernel draws from 0 to the total inclusive, which gives the first one mark more (schedulers/twos.py).
            return _weighted([*usable[:1], *_by_weight(usable)])
        if name == "lc":
            return _weightless(usable)
        return _weighted(usable)


def _weightless(backends: Sequence[Backend]) -> tuple[tuple[Place, int], ...]:
    return tuple(((each.address, each.port), 1) for each in backends)


def _weighted(backends: Sequence[Backend]) -> tuple[tuple[Place, int], ...]:
    return tuple(((each.address, each.port), each.weight) for each in backends)


def _heaviest_first(usable: Sequence[Backend]) -> list[Backend]:
    return sorted(usable, key=lambda backend: -backend.weight)


def _shares(usable: Sequence[Backend]) -> dict[Backend, int]:
    """Each one's weight, as small as the proportion and MOST_SLOTS allow."""
    divisor = gcd(*(each.weight for each in usable)) or 1
    total = sum(each.weight for each in usable) // divisor
    shrink = max(1.0, total / MOST_SLOTS)
    return {each: max(1, round(each.weight / divisor / shrink)) for each in usable}


def _by_weight(usable: Sequence[Backend]) -> list[Backend]:
    return [each for each, share in _shares(usable).items() for _ in range(share)]


def _one_round(usable: Sequence[Backend]) -> list[Backend]:
    """What wrr chooses until it begins anew."""
    shares = _shares(usable)
    scheduler = create("wrr", Random(0))
    stand_ins = {Backend(each.address, each.port, share): each for each, share in shares.items()}
    # An update puts new destinations at the head in the order given, so the last comes first.
    scheduler.update(list(stand_ins)[::-1])
    picked = [scheduler.pick(0, 0.0) for _ in range(sum(shares.values()))]
    return [stand_ins[each] for each in picked if each is not None]


def _owners(scheduler: BucketScheduler, usable: Sequence[Backend]) -> list[Backend]:
    """The owner of every bucket. One that may not be chosen leaves its buckets to the next owner that may."""
    table = scheduler.owners()
    allowed = set(usable)
    if not allowed:
        return []
    return [_next_allowed(table, bucket, allowed) or usable[0] for bucket in range(len(table))]


def _next_allowed(table: Sequence[Backend], bucket: int, allowed: Collection[Backend]) -> Backend | None:
    """Looks on where the kernel does with its fallback (ip_vs_sh.c, ip_vs_sh_get_fallback)."""
    if table[bucket] in allowed:
        return table[bucket]
    size = len(table)
    probed = (table[(bucket + (step + bucket) % size) % size] for step in range(size))
    return next((owner for owner in probed if owner in allowed), None)


def _marked(owners: Sequence[Backend], usable: Sequence[Backend]) -> tuple[tuple[Place, int], ...]:
    """The owners of a table, of weight 0 where they may not be chosen: the programs look further then."""
    allowed = set(usable)
    return tuple(((each.address, each.port), int(each in allowed)) for each in owners if allowed)
