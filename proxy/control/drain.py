"""The drain: what is connected may finish, and is cut where it does not.

Invariant: when it is over, no worker that lives has a connection or flow left. A worker that hangs holds it up no
longer than the data plane lets it, and not at all once somebody insists.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterable
from socket import socket
from typing import Any, TypeVar

from proxy.dataplane.close_reason import CloseReason
from proxy.logs import fields
from proxy.workers.data_plane import DataPlane

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


async def drain(data_plane: DataPlane, sockets: Iterable[socket], grace: float, insisted: asyncio.Event) -> None:
    """Stop accepting on `sockets`, our end of all that accepts; wait until nothing is connected, `grace` seconds are
    over or somebody insists; then cut what is left."""
    connections = await unless(insisted, data_plane.stop_accepting(sockets))
    if connections is not None:
        _log.info("draining", extra=fields(connections=connections, grace=grace))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await unless(insisted, data_plane.empty())
    reason = CloseReason.SHUTDOWN if insisted.is_set() else CloseReason.DRAIN_DEADLINE
    _log.info("stopped", extra=fields(connections_cut=await data_plane.end_all(reason)))


async def unless(happens: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result | None:
    """Do the work; it is cancelled when the event happens first, which gives None."""
    doing, happening = asyncio.create_task(work), asyncio.create_task(happens.wait())
    try:
        await asyncio.wait((doing, happening), return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        for task in (doing, happening):
            task.cancel()
        await asyncio.gather(doing, happening, return_exceptions=True)
