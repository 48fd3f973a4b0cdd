"""Signals of this very process."""

import asyncio
import os
import signal

import pytest

from proxy.control.termination import Termination


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_asks_and_the_second_insists(first: int, second: int) -> None:
    termination = Termination()
    with termination.handled(lambda: None):
        os.kill(os.getpid(), first)
        await asyncio.wait_for(termination.asked.wait(), 5)
        assert not termination.insisted.is_set()
        os.kill(os.getpid(), second)
        await asyncio.wait_for(termination.insisted.wait(), 5)


async def test_a_hangup_ends_nothing() -> None:
    termination, hung_up = Termination(), asyncio.Event()
    with termination.handled(hung_up.set):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(hung_up.wait(), 5)
    assert not termination.asked.is_set()


async def test_the_handlers_go_with_the_context() -> None:
    termination = Termination()
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with termination.handled(lambda: None):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before
