"""Workers as processes, without a proxy around them: start, death, and what is left of them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxy.capture.listening_group import open_group
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.messages import Settings
from proxy.dataplane.question import Connections, ListConnections
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target
from proxy.shared_counts.table import SharedTable
from proxy.startup_error import StartupError
from proxy.workers.row_ledger import RowLedger
from proxy.workers.worker_processes import FIRST_PAUSE, LONGEST_PAUSE, STEADY, WorkerProcesses, _pause_after
from tests.lane import free_port, this_lane

SETTINGS = Settings(0, 2, 1000, 1000, "", 1.0, "json", "info")


class Nothing:
    """What is wanted when nothing is."""

    def everything(self) -> tuple[Delta, Any]:
        return Delta(), {}


class OneFrontend:
    """A frontend with a socket for each of two workers."""

    def __init__(self, *targets: Target, key: FrontendKey | None = None) -> None:
        self.key = key or FrontendKey("TCP", "127.0.0.1", free_port())
        self.group = open_group(self.key, 2)
        pool = Pool("web", "default/web", "", "TCP", "rr", "web", 0, 5.0, 0.0, targets)
        self.delta = Delta((pool,), (Frontend(self.key, "web", "default/web", "NodePort"),))

    def everything(self) -> tuple[Delta, Any]:
        return self.delta, {self.key: self.group.sockets}


Start = Callable[..., Awaitable[WorkerProcesses]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[WorkerProcesses] = []

    async def start(wanted: Any = None) -> WorkerProcesses:
        data_plane = WorkerProcesses(SETTINGS, SharedTable.create(2), RowLedger())
        started.append(data_plane)
        await data_plane.start(wanted or Nothing())
        return data_plane

    before = os.listdir("/proc/self/fd")
    yield start
    for data_plane in started:
        await data_plane.stop()
    assert not [child for child in psutil.Process().children() if "proxy.dataplane" in child.cmdline()]
    assert len(os.listdir("/proc/self/fd")) <= len(before)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


def status_of(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def maps_of(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


async def applied(data_plane: WorkerProcesses) -> None:
    done = asyncio.Event()
    data_plane.when_applied(done.set)
    async with asyncio.timeout(20):
        await done.wait()


async def test_workers_run_and_answer(start: Start) -> None:
    data_plane = await start()
    reports = data_plane.workers()
    assert [(each.index, each.state, each.restarts) for each in reports] == [(0, "running", 0), (1, "running", 0)]
    assert all(psutil.pid_exists(each.pid) for each in reports)
    await applied(data_plane)
    assert await data_plane.ask(ListConnections()) == {number: Connections((), True) for number in (0, 1)}
    await data_plane.empty()
    assert await data_plane.end_all(CloseReason.SHUTDOWN) == 0


async def test_a_worker_imports_no_event_loop_and_no_server(start: Start) -> None:
    data_plane = await start()
    maps = maps_of(data_plane.workers()[0].pid)
    assert "msgspec" in maps
    assert not [name for name in ("uvloop", "aiohttp", "_asyncio", "yaml", "psutil", "_ssl") if name in maps]


async def test_a_worker_never_hears_what_is_meant_for_the_control_process(start: Start) -> None:
    data_plane = await start()
    (blocked,) = (line for line in status_of(data_plane.workers()[0].pid).splitlines() if line.startswith("SigBlk"))
    mask = int(blocked.split()[1], 16)
    assert all(mask >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


async def test_each_worker_has_a_session_of_its_own(start: Start) -> None:
    pids = [each.pid for each in (await start()).workers()]
    assert [os.getsid(pid) for pid in pids] == pids


async def test_a_message_of_many_sockets_arrives_whole(start: Start) -> None:
    data_plane = await start()
    network, ports = this_lane().network(), (free_port(), free_port())
    keys = [FrontendKey("TCP", f"{network}.{number}", port) for port in ports for number in range(1, 151)]
    places = [OneFrontend(Target("127.0.0.1", 9), key=key) for key in keys]
    frontends = tuple(each.delta.frontends[0] for each in places)
    data_plane.send(Delta(places[0].delta.pools, frontends), {each.key: each.group.sockets for each in places})
    await applied(data_plane)
    for each in data_plane.workers():
        sockets = [one for one in psutil.Process(each.pid).net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        assert {tuple(one.laddr) for one in sockets} == {(one.key.address, one.key.port) for one in places}
    data_plane.close(sock for each in places for sock in each.group.sockets)
    data_plane.send(Delta(removed_frontends=tuple(each.key for each in places), removed_pools=("web",)), {})
    await applied(data_plane)
    for each in data_plane.workers():
        assert psutil.Process(each.pid).net_connections("tcp") == []


async def test_a_worker_that_dies_comes_back_with_everything(start: Start) -> None:
    wanted = OneFrontend(Target("127.0.0.1", 9))
    data_plane = await start(wanted)
    first = data_plane.workers()[1].pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: data_plane.workers()[1].restarts == 1 and data_plane.workers()[1].state == "running")
    assert data_plane.workers()[1].pid != first
    assert data_plane.workers()[0].restarts == 0
    await applied(data_plane)
    (listening,) = psutil.Process(data_plane.workers()[1].pid).net_connections("tcp")
    assert listening.laddr.port == wanted.key.port
    wanted.group.close()


async def test_who_waits_for_a_worker_that_dies_waits_no_longer(start: Start) -> None:
    data_plane = await start()
    os.kill(data_plane.workers()[0].pid, signal.SIGSTOP)
    asked = asyncio.ensure_future(data_plane.ask(ListConnections()))
    await asyncio.sleep(0)
    os.kill(data_plane.workers()[0].pid, signal.SIGKILL)
    assert await asyncio.wait_for(asked, 20) == {1: Connections((), True)}


async def test_a_worker_that_cannot_start_is_an_error(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StartupError, match="worker 0 did not start: exit status 1"):
        await start()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(StartupError, match="no worker can be started: No such file or directory"):
        await start()


def test_a_worker_that_dies_again_and_again_is_started_less_and_less_often() -> None:
    pauses = [0.0]
    for restarts in range(1, 12):
        pauses.append(_pause_after(pauses[-1], 0.1, restarts))
    assert pauses[1] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert _pause_after(LONGEST_PAUSE, STEADY, 12) == 0.0
    assert _pause_after(0.0, 0.1, 0) == 0.0
