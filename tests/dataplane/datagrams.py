"""Small UDP servers and clients for the tests of this folder, whose fixtures `server` and `client` make them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from proxy.plan.frontend import FrontendKey, Target

StartServer = Callable[..., Awaitable[Target]]
Client = Callable[..., "Asking"]


class Server:
    """Answers with its name and what it got. A bare socket, since uvloop's transports do not send empty datagrams."""

    def __init__(self, name: bytes, host: str) -> None:
        self._name = name
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        asyncio.get_running_loop().add_reader(self.socket, self._answer)

    def _answer(self) -> None:
        data, sender = self.socket.recvfrom(1 << 16)
        self.socket.sendto(self._name + data, sender)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


class Asking:
    """A client's connected socket: it hears the address it asked and nobody else."""

    def __init__(self, key: FrontendKey, asked: str, source: str) -> None:
        family = socket.AF_INET6 if ":" in asked else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((asked, key.port))

    async def ask(self, data: bytes = b"") -> bytes:
        self.socket.send(data)
        return await self.answer()

    async def answer(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 1 << 16), 10)


async def until_readable(sock: socket.socket) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sock, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sock)


def dns(data_plane: Any, *targets: Target, **changes: Any) -> Any:
    return data_plane.pool(*targets, key="dns", protocol="UDP", **changes)
