"""Watches the addresses and routes of this machine, as rtnetlink announces them (linux/rtnetlink.h).

Invariant: whatever changes, `changed` is called after it; many changes in a row are one call.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

_log = logging.getLogger(__name__)

# linux/rtnetlink.h: addresses and routes of either family. A machine's main address depends on its routes.
_GROUPS = 0x10 | 0x40 | 0x100 | 0x400
_ROUTE_FAMILY = 0

SETTLING = 0.2
"""Seconds that changes are collected for: a routing daemon makes thousands a second."""

POLL_INTERVAL = 30.0
"""Seconds between two looks where nothing is announced, kube-proxy's sync period."""

_AT_ONCE = 64


async def follow_addresses(changed: Callable[[], None]) -> None:
    """Call `changed` now, and after each change of an address or a route of this network namespace, until cancelled."""
    try:
        sock = _subscribed()
    except OSError as error:
        _log.warning(f"the kernel does not announce addresses ({error.strerror}): looking every {POLL_INTERVAL:g} s")
        while True:
            changed()
            await asyncio.sleep(POLL_INTERVAL)
    announced = asyncio.Event()
    loop = asyncio.get_running_loop()
    with sock:
        loop.add_reader(sock, _drain, sock, announced)
        try:
            while True:
                announced.clear()
                changed()
                await announced.wait()
                await asyncio.sleep(SETTLING)
        finally:
            loop.remove_reader(sock)


def _subscribed() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _ROUTE_FAMILY)
    try:
        sock.bind((0, _GROUPS))
    except OSError:
        sock.close()
        raise
    return sock


def _drain(sock: socket.socket, announced: asyncio.Event) -> None:
    """What the announcements say is found out by looking. ENOBUFS says that some were lost, which is one more."""
    announced.set()
    for _ in range(_AT_ONCE):
        try:
            sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
