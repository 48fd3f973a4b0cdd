"""The stream that keeps the page up to date: server-sent events (WHATWG HTML, section 9.2).

Invariant: a reader that does not read costs what one snapshot does, and is let go after a while.
"""

import time
from collections.abc import Iterable

from aiohttp import web

from proxy import __version__
from proxy.admin.broadcast import Broadcast
from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import failure
from proxy.admin.json_list import write
from proxy.admin.live_view import LiveView

_RETRY = b"retry: 1000\n\n"


def stream_routes(inspected: Inspected, application: web.Application, most: int) -> Iterable[web.RouteDef]:
    """/api/v1/stream, for so many readers at most. The streams end when `application` begins to shut down."""
    broadcast = Broadcast(lambda: LiveView(inspected, __version__), time.monotonic, time.time, most)

    async def end_streams(_: web.Application) -> None:
        broadcast.close()

    application.on_shutdown.append(end_streams)

    async def stream(request: web.Request) -> web.StreamResponse:
        if broadcast.is_full:
            return failure(503, f"{most} streams are open already: close a page and try again")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if request.method == "HEAD":
            return response
        with broadcast.viewer(request.headers.get("Last-Event-ID", "")) as viewer:
            await response.prepare(request)
            await write(request, response, _RETRY)
            while events := await viewer.read():
                for piece in events:
                    await write(request, response, piece)
        return response

    return (web.get("/api/v1/stream", stream),)
