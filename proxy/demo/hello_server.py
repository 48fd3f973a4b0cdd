"""The web server of a demo pod: it says hello, and which pod it is.

Imports nothing of ours. Invariant: everything it answers depends on the pod's name alone.
"""

from aiohttp import web

_HELLO = 'Hello MyApp | Version: v1 | <a href="hostname.html">Pod Name</a>\n'


async def start_hello_server(name: str, address: str, port: int) -> web.AppRunner:
    """Serve `/` and `/hostname.html` for the pod `name`; `cleanup()` of the runner stops it. Raises OSError."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text=_HELLO, content_type="text/html")

    async def hostname(_: web.Request) -> web.Response:
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
    return runner
