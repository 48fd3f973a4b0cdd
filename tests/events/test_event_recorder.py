"""Writing Events to an API that answers as the test says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.events.event_recorder import EventRecorder
from proxy.events.event_sink import SinkAnswer
from proxy.events.service_event import ServiceEvent

EVENT = ServiceEvent(("shop", "web"), "uid", "FailedToListen", "Listen", "port 80 is taken")


class Sink:
    """Answers with `answers` in turn, then with success."""

    def __init__(self) -> None:
        self.answers: list[SinkAnswer | OSError] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._asked = asyncio.Event()

    async def create(self, namespace: str, document: dict[str, Any]) -> SinkAnswer:
        return self._answer("create", document)

    async def patch(self, namespace: str, name: str, changes: dict[str, Any]) -> SinkAnswer:
        return self._answer("patch", changes)

    def _answer(self, verb: str, body: dict[str, Any]) -> SinkAnswer:
        self.calls.append((verb, body))
        self._asked.set()
        answer = self.answers.pop(0) if self.answers else SinkAnswer(200)
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def asked(self, times: int) -> None:
        async with asyncio.timeout(10):
            while len(self.calls) < times:
                self._asked.clear()
                await self._asked.wait()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def recorder(sink: Sink) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(sink, "node-a", lambda: 0.0)
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_first_is_created_and_the_next_counted(sink: Sink, recorder: EventRecorder) -> None:
    recorder.record(EVENT)
    recorder.record(EVENT)
    await sink.asked(2)
    assert [verb for verb, _ in sink.calls] == ["create", "patch"]
    assert sink.calls[1][1]["count"] == 2


async def test_one_that_is_there_already_is_counted_and_one_that_expired_is_created(
    sink: Sink, recorder: EventRecorder
) -> None:
    sink.answers = [SinkAnswer(409), SinkAnswer(200), SinkAnswer(404)]
    recorder.record(EVENT)
    recorder.record(EVENT)
    await sink.asked(4)
    assert [verb for verb, _ in sink.calls] == ["create", "patch", "patch", "create"]


async def test_missing_rights_are_reported_once_with_the_way_out_and_harm_nothing(
    sink: Sink, recorder: EventRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answers = [SinkAnswer(403, "events is forbidden"), OSError("no route"), SinkAnswer(200)]
    for _ in range(3):
        recorder.record(EVENT)
    await sink.asked(3)
    assert [record.message for record in caplog.records] == [
        "Events about Services cannot be written: events is forbidden: "
        "grant the verbs create and patch on events (config/kubernetes/rbac.yaml)"
    ]


async def test_a_failure_after_a_success_is_reported_again(
    sink: Sink, recorder: EventRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answers = [OSError("no route"), SinkAnswer(200), OSError("no route")]
    for _ in range(3):
        recorder.record(EVENT)
    await sink.asked(3)
    await asyncio.sleep(0)
    assert len(caplog.records) == 2


async def test_without_an_api_nothing_is_recorded() -> None:
    recorder = EventRecorder(None, "node-a", lambda: 0.0)
    recorder.record(EVENT)
    assert recorder._waiting.empty()
