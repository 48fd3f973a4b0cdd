"""Fixtures of the scheduler tests: a scheduler that has just taken a pool."""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from proxy.schedulers.backend import Backend
from proxy.schedulers.registry import create
from proxy.schedulers.scheduler import Scheduler


@pytest.fixture(scope="session")
def start() -> Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]:
    """`start(name, weights)` gives a scheduler seeded with 1 and its backends, in list order (newest first)."""

    def start(name: str, weights: Sequence[int]) -> tuple[Scheduler, list[Backend]]:
        backends = [Backend(f"10.0.{index >> 8}.{index & 255}", 80, weight) for index, weight in enumerate(weights)]
        scheduler = create(name, Random(1))
        scheduler.update(backends[::-1])
        return scheduler, backends

    return start
