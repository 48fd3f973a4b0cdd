"""wrr: interleaved weighted round robin (net/netfilter/ipvs/ip_vs_wrr.c).

The kernel scans the list once for every level of weight, from the highest down in steps of the
greatest common divisor, and takes each backend that weighs at least the level. Invariant: `eligible` holds exactly the
backends that weigh at least `level`, in list order, so a scan visits nothing it would skip. Backends
that join together count as added one after the other: the kernel knows no other way, and the level at which it goes on
depends on it.
"""

from collections.abc import Collection
from math import gcd
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler


class WeightedRoundRobin(Scheduler):
    """Backends in turn in proportion to their weights; 4, 3, 2 give A A B A B C A B C in each round, which may begin
    within it."""

    name = "wrr"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.step = 1
        self.highest = 0
        self.level = 0
        self.eligible: list[Backend] = []
        self.heavier_than = 0
        self.position = 0

    def rebuild(self) -> None:
        stayed = self.weights[self.joined :]
        divisor, highest = gcd(*stayed), max(stayed, default=0)
        if not self.joined:
            self._go_on(divisor, highest)
        for weight in reversed(self.weights[: self.joined]):
            divisor, highest = gcd(divisor, weight), max(highest, weight)
            self._go_on(divisor, highest)
        self._select()

    def copy(self) -> Self:
        other = super().copy()
        other.step, other.highest, other.level = self.step, self.highest, self.level
        other.eligible, other.heavier_than, other.position = self.eligible, self.heavier_than, self.position
        return other

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        backend = self._advance(without)
        if backend is None:
            heaviest = max((backend.weight for backend in self.usable if backend not in without), default=0)
            if heaviest:
                self._descend(heaviest)
                backend = self._advance(without)
        return backend

    def _advance(self, without: Collection[Backend]) -> Backend | None:
        """The next backend of this level, or None at the end of the list."""
        eligible = self.eligible
        for position in range(self.position, len(eligible)):
            backend = eligible[position]
            if backend not in without:
                self.position = position + 1
                return backend
        return None

    def _descend(self, heaviest: int) -> None:
        """Go to the head of the list at the next level, from the lowest to the highest again, and over the levels
        that no backend may serve because the heaviest to choose from weighs less."""
        previous = self.level
        self.level -= self.step
        if self.level <= 0:
            self.level = self.highest
        if self.level > heaviest:
            self.level -= -(-(self.level - heaviest) // self.step) * self.step
        if self.heavier_than < self.level <= previous:
            self.position = 0
        else:
            self._select()

    def _go_on(self, divisor: int, highest: int) -> None:
        """The level to go on at after a change (ip_vs_wrr_dest_changed), given the weights' divisor and maximum."""
        self.step = divisor or 1
        self.highest = highest - (self.step - 1)
        if self.level > self.highest or self.level == 0:
            self.level = self.highest
        elif self.step > 1:
            self.level = self.level // self.step * self.step + 1

    def _select(self) -> None:
        self.eligible = [backend for backend in self.usable if backend.weight >= self.level]
        self.heavier_than = max((weight for weight in self.weights if weight < self.level), default=0)
        self.position = 0
