"""The drain: what is connected may finish, and is cut where it does not.

Imports this room. Invariant: when it is over, no worker has a connection or flow left.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterable
from socket import socket
from typing import Any

from proxy.dataplane.close_reason import CloseReason
from proxy.logs import fields
from proxy.workers.data_plane import DataPlane

_log = logging.getLogger(__name__)


async def drain(data_plane: DataPlane, sockets: Iterable[socket], grace: float, insisted: asyncio.Event) -> None:
    """Stop accepting on `sockets`, our end of all that accepts; wait until nothing is connected, `grace` seconds are
    over or somebody insists; then cut what is left."""
    connections = await data_plane.stop_accepting(sockets)
    _log.info("draining", extra=fields(connections=connections, grace=grace))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await _first_of(data_plane.empty(), insisted.wait())
    reason = CloseReason.SHUTDOWN if insisted.is_set() else CloseReason.DRAIN_DEADLINE
    _log.info("stopped", extra=fields(connections_cut=await data_plane.end_all(reason)))


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of them is over."""
    waiting = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
