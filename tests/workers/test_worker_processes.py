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
from proxy.workers import worker_processes
from proxy.workers.row_ledger import RowLedger
from proxy.workers.worker_processes import WorkerProcesses
from tests.lane import free_port, this_lane

SETTINGS = Settings(0, 2, 1000, 1000, "", 1.0, "json", "info")


class Nothing:
    """What is wanted when nothing is."""

    def everything(self) -> tuple[Delta, Any]:
        return Delta(), {}


class Everything:
    """What is wanted, as the test has it."""

    def __init__(self, delta: Delta, sockets: Any) -> None:
        self._everything = delta, sockets

    def everything(self) -> tuple[Delta, Any]:
        return self._everything


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

    watches: list[asyncio.Task[None]] = []

    async def start(wanted: Any = None, silence: float = 20.0) -> WorkerProcesses:
        data_plane = WorkerProcesses(SETTINGS, SharedTable.create(2), RowLedger(), silence, 2)
        started.append(data_plane)
        await data_plane.start(wanted or Nothing())
        watches.append(asyncio.create_task(data_plane.watch()))
        return data_plane

    before = os.listdir("/proc/self/fd")
    yield start
    for watch in watches:
        assert not watch.done()
        watch.cancel()
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


async def test_a_stopped_worker_is_replaced_and_who_waits_for_it_is_called(start: Start) -> None:
    wanted = OneFrontend(Target("127.0.0.1", 9))
    data_plane = await start(wanted, silence=1.0)
    hung = data_plane.workers()[0].pid
    os.kill(hung, signal.SIGSTOP)
    await applied(data_plane)
    await until(lambda: data_plane.workers()[0].restarts == 1 and data_plane.workers()[0].state == "running")
    assert not psutil.pid_exists(hung)
    await applied(data_plane)
    (listening,) = psutil.Process(data_plane.workers()[0].pid).net_connections("tcp")
    assert listening.laddr.port == wanted.key.port
    assert data_plane.workers()[1].restarts == 0
    wanted.group.close()


async def test_a_question_does_not_wait_for_a_stopped_worker(start: Start) -> None:
    data_plane = await start(silence=0.5)
    os.kill(data_plane.workers()[0].pid, signal.SIGSTOP)
    assert await data_plane.ask(ListConnections()) == {1: Connections((), True)}


def first_worker() -> psutil.Process:
    """A process that has just been started may not have its command line yet."""
    for _ in range(100_000):
        for child in psutil.Process().children():
            if "worker=0" in child.cmdline():
                return child
    raise AssertionError("there is no first worker")


async def test_a_worker_that_was_killed_while_the_others_started_is_started_anew(start: Start) -> None:
    class KillsTheFirst(Nothing):
        killed = False

        def everything(self) -> tuple[Delta, Any]:
            if not self.killed:
                self.killed = True
                first_worker().kill()
            return super().everything()

    data_plane = await start(KillsTheFirst())
    await until(lambda: [each.state for each in data_plane.workers()] == ["running", "running"])
    assert [each.restarts for each in data_plane.workers()] == [1, 0]


async def test_a_message_that_fails_ends_the_worker_and_its_successor_knows_everything(start: Start) -> None:
    wanted = OneFrontend(Target("127.0.0.1", 9))
    data_plane = await start(wanted)
    before = {each.pid for each in data_plane.workers()}
    # A frontend of a pool that nobody has told of.
    lost = Frontend(FrontendKey("UDP", "127.0.0.1", free_port()), "unknown", "default/web", "NodePort")
    data_plane.send(Delta(frontends=(lost,)), {})
    await applied(data_plane)
    await until(lambda: [each.state for each in data_plane.workers()] == ["running", "running"])
    assert [each.restarts for each in data_plane.workers()] == [1, 1]
    await applied(data_plane)
    for each in data_plane.workers():
        assert each.pid not in before
        (listening,) = psutil.Process(each.pid).net_connections("tcp")
        assert listening.laddr.port == wanted.key.port
    wanted.group.close()


async def test_a_worker_without_descriptors_for_a_message_is_replaced_and_loses_no_frontend(start: Start) -> None:
    data_plane = await start()
    pid = data_plane.workers()[0].pid
    used = len(os.listdir(f"/proc/{pid}/fd"))
    psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE, (used + 2, used + 2))
    port = free_port()
    keys = [FrontendKey("TCP", f"{this_lane().network()}.{number}", port) for number in range(1, 41)]
    places = [OneFrontend(Target("127.0.0.1", 9), key=key) for key in keys]
    delta = Delta(places[0].delta.pools, tuple(each.delta.frontends[0] for each in places))
    sockets = {each.key: each.group.sockets for each in places}
    data_plane._wanted = Everything(delta, sockets)
    data_plane.send(delta, sockets)
    await until(lambda: data_plane.workers()[0].restarts == 1 and data_plane.workers()[0].state == "running")
    await applied(data_plane)
    for each in data_plane.workers():
        assert len(psutil.Process(each.pid).net_connections("tcp")) == len(keys)
    for place in places:
        place.group.close()


async def test_what_waits_for_a_worker_is_bounded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "LEAST_BACKLOG", 100_000)
    wanted = OneFrontend(Target("127.0.0.1", 9))
    data_plane = await start(wanted)
    hung = data_plane.workers()[0].pid
    os.kill(hung, signal.SIGSTOP)
    pools = wanted.delta.pools
    sent = 0
    while data_plane.workers()[0].state == "running":
        data_plane.send(Delta(pools=pools), {})
        sent += 1
        assert sent < 100_000
    await until(lambda: data_plane.workers()[0].restarts == 1 and data_plane.workers()[0].state == "running")
    await applied(data_plane)
    wanted.group.close()


async def test_workers_die_with_the_control_process_even_stopped_ones() -> None:
    code = (
        "import asyncio\n"
        "from tests.workers.test_worker_processes import *\n"
        "async def main():\n"
        "    data_plane = WorkerProcesses(SETTINGS, SharedTable.create(2), RowLedger(), 20.0, 2)\n"
        "    await data_plane.start(Nothing())\n"
        "    print(*(each.pid for each in data_plane.workers()), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    control = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        assert control.stdout is not None
        async with asyncio.timeout(20):
            workers = [psutil.Process(int(pid)) for pid in (await control.stdout.readline()).split()]
        assert len(workers) == 2
        workers[0].suspend()
    finally:
        control.kill()
        await control.wait()
    await until(lambda: not any(map(is_alive, workers)))


def is_alive(process: psutil.Process) -> bool:
    """Nobody may be there to reap it."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
