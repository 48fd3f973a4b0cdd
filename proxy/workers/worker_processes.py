"""The data plane as processes: starts the workers, tells them what changes, and starts anew those that die.

Imports this room and the data plane's messages. Invariants: a frontend's sockets outlive every worker, so that clients
wait in the kernel's queue while a worker is away; a worker that comes back learns everything before it learns what
changes next; one that dies again and again is started less and less often, and takes no other worker with it.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import msgspec

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.messages import Acknowledge, AwaitEmpty, EndAll, Settings, StopAccepting, Wish
from proxy.dataplane.question import Answer, Question
from proxy.logs import fields
from proxy.plan.frontend import Delta
from proxy.reports.report import WorkerReport
from proxy.shared_counts.layout import WORKERS, WorkerCell
from proxy.shared_counts.table import SharedTable
from proxy.startup_error import StartupError
from proxy.workers.data_plane import Sockets, Wanted
from proxy.workers.row_ledger import RowLedger
from proxy.workers.update_encoder import UpdateEncoder
from proxy.workers.worker_channel import Message, WorkerChannel

PATIENCE = 30.0
"""Seconds that a worker may take to start or to end."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
_LAST_WORDS = 1.0
"""Seconds that a process may take to end once it has closed its channel."""
STEADY = 10.0
"""Seconds after which a worker that ran so long is started anew at once when it dies."""

_PACKAGE_PARENT = str(Path(__file__).parents[2])

_log = logging.getLogger(__name__)


class _Process:
    """One place among the workers, and who holds it now."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.popen: subprocess.Popen[bytes] | None = None
        self.channel: WorkerChannel | None = None
        self.started = 0.0
        self.pause = 0.0
        self.restarts = 0
        self.revival: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        if self.channel is None or self.channel.ended:
            return "ended"
        return "running" if self.channel.ready.is_set() else "starting"


class WorkerProcesses:
    """As many workers as `table` has columns. `settings` is what each is told, its column aside."""

    def __init__(self, settings: Settings, table: SharedTable, ledger: RowLedger) -> None:
        self.table = table
        self.width = table.columns
        self._settings = settings
        self._updates = UpdateEncoder(ledger)
        self._encoder = msgspec.msgpack.Encoder()
        self._processes = [_Process(index) for index in range(table.columns)]
        self._wanted: Wanted | None = None
        self._serving = False

    def hold(self, descriptors: int) -> None:
        """Each worker has a limit of its own."""

    async def start(self, wanted: Wanted) -> None:
        self._wanted = wanted
        try:
            for process in self._processes:
                self._spawn(process)
        except OSError as error:
            raise StartupError(f"no worker can be started: {error.strerror}") from error
        for process in self._processes:
            if not await self._is_ready(process):
                raise StartupError(f"worker {process.index} did not start: {await self._end_of(process)}")
        self._serving = True

    def send(self, delta: Delta, sockets: Sockets) -> None:
        channels = list(self._channels())
        for update in self._updates.messages(delta, sockets.keys()):
            payload = self._encoder.encode(update)
            for index, channel in channels:
                channel.send(payload, [sockets[key][index] for key in update.opened])

    def close(self, sockets: Iterable[socket.socket]) -> None:
        closing = list(sockets)

        def close_all() -> None:
            for sock in closing:
                sock.close()

        self._when_all(lambda channel, done: channel.after_sent(done), close_all)

    def when_applied(self, callback: Callable[[], None]) -> None:
        self._when_all(lambda channel, done: channel.ask(Acknowledge(), lambda _: done()), callback)

    async def ask(self, question: Question) -> Mapping[int, Answer]:
        decoder: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
        answers = await self._ask_all(question)
        return {index: decoder.decode(answer) for index, answer in answers.items()}

    def workers(self) -> tuple[WorkerReport, ...]:
        return tuple(map(self._report, self._processes))

    async def stop_accepting(self, sockets: Iterable[socket.socket]) -> int:
        self._serving = False
        asked = self._ask_all(StopAccepting())
        self.close(sockets)
        return _sum(await asked)

    async def empty(self) -> None:
        await self._ask_all(AwaitEmpty())

    async def end_all(self, reason: CloseReason) -> int:
        return _sum(await self._ask_all(EndAll(reason.name)))

    async def stop(self) -> None:
        self._serving = False
        revivals = [process.revival for process in self._processes if process.revival is not None]
        for revival in revivals:
            revival.cancel()
        await asyncio.gather(*revivals, return_exceptions=True)
        for process in self._processes:
            if process.channel is not None:
                process.channel.close()
        await asyncio.gather(*(asyncio.to_thread(_reap, process.popen, PATIENCE) for process in self._processes))
        self.table.close()

    def _channels(self) -> Iterable[tuple[int, WorkerChannel]]:
        """The workers that are there, those that still start included."""
        for process in self._processes:
            if process.channel is not None and not process.channel.ended:
                yield process.index, process.channel

    def _spawn(self, process: _Process) -> None:
        """Start the process, and put all that it must know on its way."""
        assert self._wanted is not None
        ours, theirs = socket.socketpair()
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, (_PACKAGE_PARENT, os.environ.get("PYTHONPATH", ""))))
        }
        # -P: what lies in the working directory shall not be taken for the program.
        command = [sys.executable, "-P", "-m", "proxy.dataplane", f"worker={process.index}"]
        try:
            with theirs, _signals_blocked():
                # A session of its own: where no cgroup parts the processor, the kernel does it by session (sched(7),
                # autogroup), and what the control process computes would be taken from its workers' part.
                process.popen = subprocess.Popen(
                    command, stdin=theirs.fileno(), env=environment, start_new_session=True
                )
        except OSError:
            ours.close()
            raise
        process.started = monotonic()
        process.channel = WorkerChannel(ours, lambda: self._ended(process))
        settings = msgspec.structs.replace(self._settings, column=process.index)
        process.channel.send(self._encoder.encode(settings), [self.table])
        process.channel.send_in_turn(self._everything(process.index))

    def _everything(self, index: int) -> Iterator[Message]:
        """What there is now, as messages for one worker. They are made when it has room for them: of ten thousand
        Services that takes half a second, which would be missing everywhere else."""
        assert self._wanted is not None
        delta, sockets = self._wanted.everything()
        updates = self._updates.everything(delta, sockets.keys())
        return ((self._encoder.encode(update), [sockets[key][index] for key in update.opened]) for update in updates)

    async def _is_ready(self, process: _Process) -> bool:
        """Wait for the worker's first word; whether it came."""
        channel = process.channel
        assert channel is not None
        try:
            async with asyncio.timeout(PATIENCE):
                await channel.ready.wait()
        except TimeoutError:
            # Its end is noticed as any other's.
            assert process.popen is not None
            process.popen.kill()
            return False
        return not channel.ended

    def _ended(self, process: _Process) -> None:
        """The worker closed its end, which it does by dying."""
        if self._serving:
            process.revival = asyncio.get_running_loop().create_task(self._revive(process))

    async def _revive(self, process: _Process) -> None:
        """Start a worker anew that died, and again if that fails."""
        ended = await self._end_of(process)
        self.table.clear_gauges(process.index)
        while self._serving:
            pause = _pause_after(process.pause, monotonic() - process.started, process.restarts)
            process.pause = pause
            _log.error("worker died, and is started anew", extra=fields(worker=process.index, ended=ended, pause=pause))
            await asyncio.sleep(pause)
            process.restarts += 1
            try:
                self._spawn(process)
            except OSError as error:
                ended = f"it cannot be started: {error.strerror}"
                continue
            break
        if self._serving and await self._is_ready(process):
            assert process.popen is not None
            _log.info("worker started", extra=fields(worker=process.index, pid=process.popen.pid))

    async def _end_of(self, process: _Process) -> str:
        """How the process ended, in words; it is about to end, or is made to."""
        await asyncio.to_thread(_reap, process.popen, _LAST_WORDS)
        status = process.popen.returncode if process.popen is not None else 0
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def _report(self, process: _Process) -> WorkerReport:
        cells = self.table.column_of(WORKERS, 0, process.index)
        return WorkerReport(
            index=process.index,
            pid=process.popen.pid if process.popen is not None else 0,
            state=process.state,
            restarts=process.restarts,
            tcp_connections=cells[WorkerCell.CONNECTIONS],
            udp_flows=cells[WorkerCell.FLOWS],
            descriptors=cells[WorkerCell.DESCRIPTORS],
            descriptor_capacity=cells[WorkerCell.DESCRIPTOR_CAPACITY],
        )

    def _when_all(self, ask: Callable[[WorkerChannel, Callable[[], None]], None], callback: Callable[[], None]) -> None:
        """Ask every worker that is there, and call back when each has answered or is gone."""
        channels = list(self._channels())
        left = len(channels)

        def done() -> None:
            nonlocal left
            left -= 1
            if not left:
                callback()

        if not channels:
            callback()
        for _, channel in channels:
            ask(channel, done)

    def _ask_all(self, wish: Wish) -> "asyncio.Future[dict[int, bytes]]":
        """The answers by worker, once each has answered or is gone."""
        future: asyncio.Future[dict[int, bytes]] = asyncio.get_running_loop().create_future()
        answers: dict[int, bytes] = {}
        indexes = {id(channel): index for index, channel in self._channels()}

        def ask(channel: WorkerChannel, done: Callable[[], None]) -> None:
            def answered(answer: bytes | None) -> None:
                if answer is not None:
                    answers[indexes[id(channel)]] = answer
                done()

            channel.ask(wish, answered)

        def complete() -> None:
            if not future.done():
                future.set_result(answers)

        self._when_all(ask, complete)
        return future


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A child that begins now never hears signals that are meant for the control process, not even before it can say
    so: Ctrl-C goes to the whole group."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pause_after(before: float, lived: float, restarts: int) -> float:
    """Seconds to wait before a worker is started anew that lived so long, having waited `before` the last time."""
    if lived >= STEADY or not restarts:
        return 0.0
    return min(LONGEST_PAUSE, before * 2 or FIRST_PAUSE)


def _reap(popen: "subprocess.Popen[bytes] | None", patience: float) -> None:
    """Wait for the end of a process that is about to end, and make it one."""
    if popen is None:
        return
    try:
        popen.wait(patience)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


def _sum(answers: Mapping[int, bytes]) -> int:
    counts: Sequence[int] = [msgspec.msgpack.decode(answer, type=int) for answer in answers.values()]
    return sum(counts)
