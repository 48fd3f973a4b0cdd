"""Events in the cluster that is followed.

Imports `events` and this room's connection. Invariant: the rights it needs are create and patch on events, and nothing
else of the source depends on them.
"""

from typing import Any

from proxy.events.event_sink import SinkAnswer
from proxy.sources.kubernetes_api.connection import Connection, ConnectionFailedError
from proxy.sources.kubernetes_api.payloads import status_message

_MERGE = "application/merge-patch+json"


class ClusterEvents:
    """An EventSink (proxy/events/event_sink.py)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, namespace: str, document: dict[str, Any]) -> SinkAnswer:
        """POST it."""
        return await self._send("POST", _path(namespace), "application/json", document)

    async def patch(self, namespace: str, name: str, changes: dict[str, Any]) -> SinkAnswer:
        """PATCH it."""
        return await self._send("PATCH", f"{_path(namespace)}/{name}", _MERGE, changes)

    async def _send(self, method: str, path: str, content_type: str, body: dict[str, Any]) -> SinkAnswer:
        try:
            code, answer = await self._connection.send(method, path, content_type, body)
        except ConnectionFailedError as error:
            raise OSError(str(error)) from error
        return SinkAnswer(code, "" if code < 300 else status_message(answer))


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/events"
