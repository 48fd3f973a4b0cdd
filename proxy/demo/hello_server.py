"""The web server of a demo pod: it says hello, and which pod it is.

Invariant: everything it answers depends on the pod's name alone.
"""

import contextlib
from collections.abc import Callable

from aiohttp import web

_HELLO = 'Hello MyApp | Version: v1 | <a href="hostname.html">Pod Name</a>\n'


_HTTP_PORT = 80


async def start_hello_server(name: str, address: str, port: int, count: Callable[[], None]) -> web.AppRunner:
    """Serve `/` and `/hostname.html` for the pod `name`, on port 80 too where that is permitted and free.

    `count` is called for each request; `cleanup()` of the runner stops it. Raises OSError.
    """

    async def hello(_: web.Request) -> web.Response:
        count()
        return web.Response(text=_HELLO, content_type="text/html")

    async def hostname(_: web.Request) -> web.Response:
        count()
        return web.Response(text=f"{name}\n", content_type="text/html")

    application = web.Application()
    application.add_routes([web.get("/", hello), web.get("/hostname.html", hostname)])
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, reuse_address=True).start()
    except OSError:
        await runner.cleanup()
        raise
    with contextlib.suppress(OSError):
        # For the classic manifest with `targetPort: 80`, which needs nothing else of the demo.
        await web.TCPSite(runner, address, _HTTP_PORT, reuse_address=True).start()
    return runner
