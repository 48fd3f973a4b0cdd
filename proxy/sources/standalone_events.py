"""Events in the embedded API.

Invariant: whatever the API says to an Event is an answer, and no error.
"""

from typing import Any

from proxy.apiserver.embedded_api import FIELD_MANAGER, EmbeddedAPI
from proxy.apiserver.kinds import EVENTS
from proxy.apiserver.status import StatusError
from proxy.apiserver.writes.options import WriteOptions
from proxy.apiserver.writes.patching import MERGE_PATCH, Patch
from proxy.events.event_sink import SinkAnswer

_OPTIONS = WriteOptions(field_manager=FIELD_MANAGER)


class StandaloneEvents:
    """An EventSink (proxy/events/event_sink.py). `api` is there while the source runs."""

    def __init__(self) -> None:
        self.api: EmbeddedAPI | None = None

    async def create(self, namespace: str, document: dict[str, Any]) -> SinkAnswer:
        """Create it."""
        try:
            await self._running().operations.create(EVENTS, namespace, document, _OPTIONS)
        except StatusError as error:
            return SinkAnswer(error.status.code, error.status.message)
        return SinkAnswer(201)

    async def patch(self, namespace: str, name: str, changes: dict[str, Any]) -> SinkAnswer:
        """Merge into it."""
        body = Patch(changes, MERGE_PATCH)
        try:
            await self._running().operations.patch(EVENTS, (namespace, name), body, _OPTIONS)
        except StatusError as error:
            return SinkAnswer(error.status.code, error.status.message)
        return SinkAnswer(200)

    def _running(self) -> EmbeddedAPI:
        if self.api is None:
            raise OSError("the API does not run")
        return self.api
