"""Writes Events, one after the other, while nobody waits for them.

Invariants: what cannot be written is dropped, and reported once until writing works again; nothing that is recorded
waits for the API.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from proxy.events.event_series import EventSeries, EventWrite
from proxy.events.event_sink import EventSink, SinkAnswer
from proxy.events.service_event import ServiceEvent

_PATIENCE = 10.0
_MOST_WAITING = 1000
_EXISTS, _GONE = 409, 404
_REFUSED = (401, 403)

_log = logging.getLogger(__name__)


class EventRecorder:
    """`record` from anywhere, `run` is the task that writes. Without a sink, nothing is recorded."""

    def __init__(self, sink: EventSink | None, host: str, clock: Callable[[], float]) -> None:
        self._sink = sink
        self._series = EventSeries(host)
        self._clock = clock
        self._waiting: asyncio.Queue[EventWrite] = asyncio.Queue(_MOST_WAITING)
        self._failing = False

    def record(self, event: ServiceEvent) -> None:
        """Have it written soon, or not at all where too much waits."""
        if self._sink is None or self._waiting.full():
            return
        write = self._series.observe(event, self._clock(), datetime.now(UTC))
        if write is not None:
            self._waiting.put_nowait(write)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            write = await self._waiting.get()
            assert self._sink is not None
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._heard(await _written(self._sink, write))
            except OSError as error:
                self._failed(str(error) or f"no answer within {_PATIENCE:g} s")

    def _heard(self, answer: SinkAnswer) -> None:
        if answer.code < 300:
            self._failing = False
            return
        hint = ": grant the verbs create and patch on events (config/kubernetes/rbac.yaml)"
        self._failed(f"{answer.message or answer.code}{hint if answer.code in _REFUSED else ''}")

    def _failed(self, reason: str) -> None:
        if not self._failing:
            self._failing = True
            _log.warning(f"Events about Services cannot be written: {reason}")


async def _written(sink: EventSink, write: EventWrite) -> SinkAnswer:
    """Create or count up, whichever it turns out to be: a restart finds its own Events, and old ones expire."""
    metadata = write.document["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    if write.again:
        answer = await sink.patch(namespace, name, write.changes)
        return await sink.create(namespace, write.document) if answer.code == _GONE else answer
    answer = await sink.create(namespace, write.document)
    return await sink.patch(namespace, name, write.changes) if answer.code == _EXISTS else answer
