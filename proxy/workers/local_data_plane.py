"""The data plane inside the control process (`workers: 0`), for the smallest of sidecars.

Invariant: the worker gets the same messages as one in a process of its
own, and no name of the control process reaches it.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from random import Random
from socket import socket

import msgspec

from proxy.affinity import AffinityTable
from proxy.configuration.config import Configuration
from proxy.dataplane.access_log import AccessLog
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.messages import Update
from proxy.dataplane.question import Answer, Question
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.relay_limits import RelayLimits
from proxy.dataplane.resources import Resources
from proxy.dataplane.steps import take_all
from proxy.dataplane.time_slice import shorten_slice
from proxy.dataplane.worker import Worker
from proxy.line_output import open_for_lines
from proxy.plan.frontend import Delta
from proxy.privileges import held, names_of, user_of
from proxy.reports.report import WorkerReport
from proxy.shared_counts.column import Column
from proxy.shared_counts.table import SharedTable
from proxy.workers.data_plane import Sockets, Wanted
from proxy.workers.row_ledger import RowLedger
from proxy.workers.update_encoder import UpdateEncoder

_log = logging.getLogger(__name__)


class LocalDataPlane:
    """One worker, embedded in the running loop, that may hold so many descriptors."""

    width = 1

    def __init__(
        self,
        configuration: Configuration,
        descriptors: int,
        limits: RelayLimits,
        access_log: AccessLog | None,
        ledger: RowLedger,
        table: SharedTable,
    ) -> None:
        self.table = table
        self._access_log_file = configuration.access_log
        reactor = Reactor()
        reactor.embed(asyncio.get_running_loop())
        resources = Resources(
            reactor=reactor,
            descriptors=Descriptors(descriptors),
            affinity=AffinityTable(configuration.affinity_entries),
            random=Random(),
            most_flows=configuration.udp_flows,
            access_log=access_log,
            column=Column(self.table, 0),
            limits=limits,
        )
        self._updates = UpdateEncoder(ledger)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Update)
        self._worker = Worker(resources)

    async def start(self, wanted: Wanted) -> None:
        shorten_slice()
        self._worker.start()

    async def watch(self) -> None:
        """It lives and dies with this process."""

    def hold(self, descriptors: int) -> None:
        if descriptors > 0:
            self._worker.resources.descriptors.occupy(descriptors)
        else:
            self._worker.resources.descriptors.give(-descriptors)

    def send(self, delta: Delta, sockets: Sockets) -> None:
        for update in self._updates.messages(delta, sockets.keys()):
            message = self._decoder.decode(self._encoder.encode(update))
            take_all(self._worker.apply(message, {key: sockets[key][0] for key in update.opened}))

    def close(self, sockets: Iterable[socket]) -> None:
        """The worker has closed those it knew: they are the same objects."""
        for sock in sockets:
            sock.close()

    def when_applied(self, callback: Callable[[], None]) -> None:
        self._worker.flush()
        callback()

    async def ask(self, question: Question) -> Mapping[int, Answer]:
        steps = self._worker.answer(question)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return {0: end.value}
            await asyncio.sleep(0)

    def reopen_access_log(self) -> None:
        if self._access_log_file in ("", "-"):
            return
        try:
            self._worker.use_access_log(open_for_lines(self._access_log_file))
        except OSError as error:
            _log.error(f"the access log {self._access_log_file} cannot be opened: {error.strerror}")

    def workers(self) -> tuple[WorkerReport, ...]:
        worker, descriptors = self._worker, self._worker.resources.descriptors
        taken = descriptors.capacity - descriptors.free
        return (
            WorkerReport(
                0,
                os.getpid(),
                "running",
                0,
                worker.open_relays,
                worker.open_flows,
                taken,
                descriptors.capacity,
                buffered_bytes=self._worker.resources.buffers.held,
                buffer_capacity=self._worker.resources.buffers.capacity,
                user=user_of(os.getpid()),
                capabilities=names_of(held()),
            ),
        )

    async def stop_accepting(self, sockets: Iterable[socket]) -> int:
        take_all(self._worker.stop_accepting())
        self.close(sockets)
        return self._worker.open_relays

    async def empty(self) -> None:
        emptied = asyncio.Event()
        self._worker.when_empty(emptied.set)
        await emptied.wait()

    async def end_all(self, reason: CloseReason) -> int:
        left = self._worker.open_relays
        self._worker.end_all(reason)
        return left

    async def stop(self) -> None:
        self._worker.end_all(CloseReason.SHUTDOWN)
        self._worker.stop()
        self.table.close()
