"""The time slice, of threads made for it, since it stays with the thread that asks."""

import os
import threading
from collections.abc import Callable

import pytest

from proxy.dataplane import time_slice
from proxy.dataplane.time_slice import SHORTEST, shorten_slice

_KNOWS_SLICES = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) >= (6, 12)


def _in_a_thread(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


@pytest.mark.skipif(not _KNOWS_SLICES, reason="Linux takes a slice from 6.12 on")
def test_the_kernel_gives_the_slice_and_no_privilege_is_asked() -> None:
    given: list[int] = []
    _in_a_thread(lambda: given.append(shorten_slice()))
    assert given == [SHORTEST]


def test_nothing_else_of_the_scheduling_changes() -> None:
    seen: list[tuple[int, int]] = []

    def act() -> None:
        os.nice(1)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        for _ in range(2):
            seen.append((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
            shorten_slice()

    _in_a_thread(act)
    assert seen[0] == seen[1]
    assert seen[0][0] == os.SCHED_BATCH


def test_a_machine_that_is_not_known_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_slice, "_NUMBERS", {})
    assert shorten_slice() == 0


def test_the_idle_policy_is_left_alone() -> None:
    given: list[int] = []

    def act() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        given.append(shorten_slice())

    _in_a_thread(act)
    assert given == [0]
