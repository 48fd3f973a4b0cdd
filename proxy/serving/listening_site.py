"""Starting an HTTP site so that no cancellation loses it.

aiohttp serves. Invariant: when `start_site` ends, however it does, a socket that listens is known to the site's runner,
whose cleanup closes it.
"""

import asyncio

from aiohttp import web


async def start_site(site: web.BaseSite) -> None:
    """Listen. Raises OSError.

    asyncio's create_server forgets the sockets that it opened if it is cancelled in its last step, so it always gets
    to finish that.
    """
    starting = asyncio.create_task(site.start(), name="start to listen")
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.gather(starting, return_exceptions=True)
        raise
