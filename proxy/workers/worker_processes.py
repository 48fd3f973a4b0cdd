"""The data plane as processes: starts the workers, tells them what changes, and replaces those that die or hang.

Invariants: a frontend's sockets outlive every worker, so clients wait in the kernel's queue while a worker is away. A
worker that comes back learns everything before it learns what changes next. What waits for one worker is bounded by
what there is to know, and nobody waits for a worker longer than `timeout`.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from io import FileIO
from time import monotonic
from typing import Any

import msgspec

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.messages import Acknowledge, AwaitEmpty, EndAll, NewAccessLog, Settings, StopAccepting, Wish
from proxy.dataplane.question import Answer, Question
from proxy.line_output import open_for_lines
from proxy.logs import fields
from proxy.plan.frontend import Delta
from proxy.privileges import held, names_of, user_of
from proxy.reports.report import WorkerReport
from proxy.shared_counts.layout import WORKERS, WorkerCell
from proxy.shared_counts.table import SharedTable
from proxy.startup_error import StartupError
from proxy.workers.data_plane import Sockets, Wanted
from proxy.workers.revival import LOOKS, Silence, pause_after
from proxy.workers.row_ledger import RowLedger
from proxy.workers.update_encoder import UpdateEncoder
from proxy.workers.worker_channel import Message, WorkerChannel
from proxy.workers.worker_process import LAST_WORDS, WorkerProcess, in_words

LEAST_BACKLOG = 4 * 1024 * 1024
"""Bytes that may wait for a worker however little there is to know."""

_log = logging.getLogger(__name__)


class WorkerProcesses:
    """`width` workers, each with its column of `table`; columns beyond are of others. `settings` is what each is told,
    its column aside; `timeout` is for how many seconds one may be silent."""

    def __init__(self, settings: Settings, table: SharedTable, ledger: RowLedger, timeout: float, width: int) -> None:
        self.table = table
        self.width = width
        self._settings = settings
        self._timeout = timeout
        self._updates = UpdateEncoder(ledger)
        self._encoder = msgspec.msgpack.Encoder()
        self._processes = [WorkerProcess(index) for index in range(width)]
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
            # One that a signal ended is replaced by `watch`; one that ends itself would do so again.
            if not await process.ready() and (status := await process.end()) >= 0:
                raise StartupError(f"worker {process.index} did not start: {in_words(status)}")
        self._serving = True

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for process in self._processes:
                group.create_task(self._keep(process), name=f"watch worker {process.index}")

    def send(self, delta: Delta, sockets: Sockets) -> None:
        processes = [process for process in self._processes if process.state != "ended"]
        for update in self._updates.messages(delta, sockets.keys()):
            payload = self._encoder.encode(update)
            for process in processes:
                assert process.channel is not None
                process.channel.send(payload, [sockets[key][process.index] for key in update.opened])
        for process in processes:
            self._bound_backlog(process)

    def close(self, sockets: Iterable[socket.socket]) -> None:
        closing = list(sockets)

        def close_all() -> None:
            for sock in closing:
                sock.close()

        self._when_all(lambda channel, done: channel.after_sent(done), close_all)

    def when_applied(self, callback: Callable[[], None]) -> None:
        self._when_all(lambda channel, done: channel.ask(Acknowledge(), lambda _: done()), callback)

    async def ask(self, question: Question) -> Mapping[int, Answer]:
        decoder: msgspec.msgpack.Decoder[Answer | None] = msgspec.msgpack.Decoder(Answer | None)
        answers = await self._ask_all(question, self._timeout)
        decoded = {index: decoder.decode(answer) for index, answer in answers.items()}
        return {index: answer for index, answer in decoded.items() if answer is not None}

    def reopen_access_log(self) -> None:
        payload = self._encoder.encode(NewAccessLog())
        for _, channel in self._channels():
            for file in self._access_log_files():
                channel.send(payload, [file])
                channel.after_sent(file.close)

    def workers(self) -> tuple[WorkerReport, ...]:
        return tuple(map(self._report, self._processes))

    async def stop_accepting(self, sockets: Iterable[socket.socket]) -> int:
        self._serving = False
        asked = self._ask_all(StopAccepting(), self._timeout)
        self.close(sockets)
        return _sum(await asked)

    async def empty(self) -> None:
        await self._ask_all(AwaitEmpty(), None)

    async def end_all(self, reason: CloseReason) -> int:
        patience = LAST_WORDS if reason is CloseReason.SHUTDOWN else self._timeout
        return _sum(await self._ask_all(EndAll(reason.name), patience))

    async def stop(self) -> None:
        self._serving = False
        await asyncio.gather(*(process.end() for process in self._processes))
        self.table.close()

    def _channels(self) -> Iterator[tuple[int, WorkerChannel]]:
        """The workers that are there, those that still start included."""
        for process in self._processes:
            if process.channel is not None and not process.channel.ended:
                yield process.index, process.channel

    def _spawn(self, process: WorkerProcess) -> None:
        """Start the process, and put all that it must know on its way. Raises OSError."""
        channel = process.spawn()
        settings = msgspec.structs.replace(self._settings, column=process.index)
        files = self._access_log_files()
        channel.send(self._encoder.encode(settings), [self.table, *files])
        for file in files:
            channel.after_sent(file.close)
        channel.send_in_turn(self._everything(process.index))

    def _access_log_files(self) -> list[FileIO]:
        """The file of the access log, opened for one worker alone, or nothing. Workers lock it against each other,
        which takes an open file each."""
        if self._settings.access_log in ("", "-"):
            return []
        try:
            return [FileIO(open_for_lines(self._settings.access_log), "w")]
        except OSError as error:
            _log.error(f"the access log {self._settings.access_log} cannot be opened: {error.strerror}")
            return []

    def _everything(self, index: int) -> Iterator[Message]:
        """What there is now, as messages for one worker. They are made when it has room for them: of ten thousand
        Services that takes half a second, which would be missing everywhere else."""
        assert self._wanted is not None
        delta, sockets = self._wanted.everything()
        updates = self._updates.everything(delta, sockets.keys())
        return ((self._encoder.encode(update), [sockets[key][index] for key in update.opened]) for update in updates)

    def _bound_backlog(self, process: WorkerProcess) -> None:
        """Everything is shorter than what waits for this worker: end it, so that its successor is told that."""
        assert process.channel is not None
        if process.channel.backlog > max(LEAST_BACKLOG, 2 * self._updates.size):
            _log.error("worker is too far behind, and is ended", extra=fields(worker=process.index, pid=process.pid))
            process.kill()

    async def _keep(self, process: WorkerProcess) -> None:
        """Have a worker in this place for as long as the data plane serves."""
        while True:
            await self._until_gone(process)
            ended = in_words(await process.end())
            self.table.clear_gauges(process.index)
            if not self._serving:
                return
            await self._replace(process, ended)

    async def _until_gone(self, process: WorkerProcess) -> None:
        """Wait until the worker is gone, and end one that gives no sign of life."""
        channel, silence = process.channel, Silence()
        if channel is None or not await process.ready():
            return
        while not channel.ended:
            channel.ping()
            try:
                async with asyncio.timeout(self._timeout / LOOKS):
                    await channel.gone.wait()
            except TimeoutError:
                if silence.look(channel.is_owed_a_sign, channel.signs):
                    _log.error(
                        "worker gives no sign of life, and is ended",
                        extra=fields(worker=process.index, pid=process.pid, limit=self._timeout),
                    )
                    process.kill()

    async def _replace(self, process: WorkerProcess, ended: str) -> None:
        """Start the successor of a worker that is gone, after a while if it did not live for long."""
        while self._serving:
            process.pause = pause_after(process.pause, monotonic() - process.started, process.restarts)
            _log.error(
                "worker died, and is started anew",
                extra=fields(worker=process.index, ended=ended, pause=process.pause),
            )
            await asyncio.sleep(process.pause)
            process.restarts += 1
            try:
                self._spawn(process)
            except OSError as error:
                ended = f"it cannot be started: {error.strerror}"
                continue
            if await process.ready():
                _log.info("worker started", extra=fields(worker=process.index, pid=process.pid))
            return

    def _report(self, process: WorkerProcess) -> WorkerReport:
        cells = self.table.column_of(WORKERS, 0, process.index)
        return WorkerReport(
            index=process.index,
            pid=process.pid,
            state=process.state,
            restarts=process.restarts,
            tcp_connections=cells[WorkerCell.CONNECTIONS],
            udp_flows=cells[WorkerCell.FLOWS],
            descriptors=cells[WorkerCell.DESCRIPTORS],
            descriptor_capacity=cells[WorkerCell.DESCRIPTOR_CAPACITY],
            buffered_bytes=cells[WorkerCell.BUFFERED_BYTES],
            buffer_capacity=cells[WorkerCell.BUFFER_CAPACITY],
            user=user_of(process.pid),
            capabilities=names_of(held(process.pid)),
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

    def _ask_all(self, wish: Wish, patience: float | None) -> Coroutine[Any, Any, dict[int, bytes]]:
        """Ask now; to be awaited for the answers by worker, once each has answered or is gone, or so many seconds are
        over."""
        answers: dict[int, bytes] = {}
        complete = asyncio.Event()
        indexes = {id(channel): index for index, channel in self._channels()}

        def ask(channel: WorkerChannel, done: Callable[[], None]) -> None:
            def answered(answer: bytes | None) -> None:
                if answer is not None:
                    answers[indexes[id(channel)]] = answer
                done()

            channel.ask(wish, answered)

        self._when_all(ask, complete.set)
        return _within(patience, complete, answers)


async def _within(patience: float | None, complete: asyncio.Event, answers: Mapping[int, bytes]) -> dict[int, bytes]:
    """The answers there are when they are complete, or after so many seconds."""
    try:
        async with asyncio.timeout(patience):
            await complete.wait()
    except TimeoutError:
        _log.warning("not all workers answered in time", extra=fields(workers=sorted(answers), limit=patience))
    return dict(answers)


def _sum(answers: Mapping[int, bytes]) -> int:
    counts: Sequence[int] = [msgspec.msgpack.decode(answer, type=int) for answer in answers.values()]
    return sum(counts)
