"""A data plane on the test's own loop, with real sockets and small backends that the test scripts."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from random import Random
from socket import SocketType
from typing import Any

import pytest
import uvloop

from proxy.affinity import AffinityTable
from proxy.capture.listening_group import ListeningGroup
from proxy.capture.listening_socket import open_listening_socket
from proxy.dataplane.access_log import AccessLog
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.resources import Resources
from proxy.dataplane.steps import Steps, take_all
from proxy.dataplane.worker import Worker
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target
from proxy.shared_counts.column import Column
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger
from proxy.workers.update_encoder import UpdateEncoder
from tests.dataplane.datagrams import Asking, Server, StartServer
from tests.dataplane.kept_lines import KeptLines

Connect = Callable[[FrontendKey], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class DataPlane:
    """A worker and what a test does with it. Frontends listen on 127.0.0.1 and ports of the kernel's choice."""

    def __init__(self, descriptors: int, flows: int) -> None:
        self._lines = KeptLines()
        self._table = SharedTable.create(1)
        self._updates = UpdateEncoder(RowLedger())
        self._groups: dict[FrontendKey, ListeningGroup] = {}
        self._pools: dict[str, Pool] = {}
        self._frontends: dict[FrontendKey, Frontend] = {}
        reactor = Reactor()
        reactor.embed(asyncio.get_running_loop())
        self.resources = Resources(
            reactor=reactor,
            descriptors=Descriptors(descriptors),
            affinity=AffinityTable(1000),
            random=Random(1),
            most_flows=flows,
            access_log=AccessLog(self._lines, json=True),
            column=Column(self._table, 0),
        )
        self.worker = Worker(self.resources)
        self.worker.start()

    def pool(self, *targets: Target, key: str = "web", protocol: str = "TCP", **changes: Any) -> Pool:
        """A pool with round robin and no affinity unless `changes` says otherwise."""
        values: dict[str, Any] = {
            "key": key,
            "service": f"default/{key}",
            "port_name": "",
            "protocol": protocol,
            "scheduler": "rr",
            "affinity_key": key,
            "affinity_seconds": 0,
            "connect_timeout": 5.0,
            "idle_timeout": 0.0,
            "targets": targets,
        }
        return Pool(**(values | changes))

    def serve(self, pool: Pool, address: str = "127.0.0.1", **changes: Any) -> FrontendKey:
        """Put the pool behind a new frontend; the key has the real port."""
        sock = open_listening_socket(FrontendKey(pool.protocol, address, 0))
        key = FrontendKey(pool.protocol, address, sock.getsockname()[1])
        frontend = Frontend(key=key, pool=pool.key, service=pool.service, kind="NodePort", **changes)
        self.apply(Delta(pools=(pool,), frontends=(frontend,)), {key: sock})
        return key

    def apply(self, delta: Delta, sockets: Mapping[FrontendKey, socket.socket]) -> None:
        """Do what the control process does: first to the sockets, then tell the worker."""
        take_all(self.steps(delta, sockets))

    def steps(self, delta: Delta, sockets: Mapping[FrontendKey, socket.socket]) -> Steps:
        """As `apply`, with the flows' turns where the test has them."""
        self._pools.update((pool.key, pool) for pool in delta.pools)
        self._frontends.update((frontend.key, frontend) for frontend in delta.frontends)
        self._groups.update((key, ListeningGroup((sock,))) for key, sock in sockets.items())
        for key in delta.removed_frontends:
            self._groups.pop(key, None)
        for key, group in self._groups.items():
            frontend = self._frontends[key]
            group.settle(frontend, self._pools[frontend.pool])
        for update in self._updates.messages(delta, sockets.keys()):
            yield from self.worker.apply(update, sockets)

    def change(self, pool: Pool) -> None:
        """Replace a pool."""
        self.apply(Delta(pools=(pool,)), {})

    def records(self) -> list[dict[str, Any]]:
        """The access log so far."""
        log = self.resources.access_log
        assert log is not None
        log.flush()
        return [json.loads(line) for line in self._lines.text.splitlines()]

    async def records_of(self, count: int) -> list[dict[str, Any]]:
        """The access log once it has so many lines."""
        async with asyncio.timeout(10):
            while len(self.records()) < count:  # noqa: ASYNC110 - nothing announces a line of the log
                await asyncio.sleep(0)
        return self.records()

    def close(self) -> None:
        self.worker.end_all(CloseReason.SHUTDOWN)
        self.worker.stop()
        self._table.close()


class Backends:
    """Starts TCP servers on 127.0.0.x with a function of the test; closes them all at the end."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []

    async def start(self, served: Served, host: str = "127.0.0.1", port: int = 0) -> Target:
        """The target of a new server."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await served(reader, writer)
            except ConnectionError:
                # What the test does to connections is the test's to judge.
                return
            finally:
                writer.close()

        server = await asyncio.start_server(serve, host, port)
        self._servers.append(server)
        return Target(host, server.sockets[0].getsockname()[1])

    async def named(self, name: str, host: str = "127.0.0.1", port: int = 0) -> Target:
        """A server that says its name and closes."""

        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(name.encode())

        return await self.start(say, host, port)

    async def echo(self, host: str = "127.0.0.1") -> Target:
        """A server that sends back what it gets, and closes when the client has finished."""

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

        return await self.start(echo, host)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The data plane runs on uvloop, and so do its tests."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def make_data_plane() -> AsyncIterator[Callable[..., DataPlane]]:
    """Makes data planes with limits of the test's choice; none of them leaves a descriptor taken."""
    made: list[DataPlane] = []

    def make(descriptors: int = 1000, flows: int = 1000) -> DataPlane:
        made.append(DataPlane(descriptors, flows))
        return made[-1]

    yield make
    for data_plane in made:
        data_plane.close()
        assert data_plane.resources.descriptors.free == data_plane.resources.descriptors.capacity
        assert not data_plane.resources.relays
        assert not data_plane.resources.dialling


@pytest.fixture
async def data_plane(make_data_plane: Callable[..., DataPlane]) -> DataPlane:
    return make_data_plane()


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    started = Backends()
    yield started
    await started.close()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects a client to a frontend; every one is closed at the end."""
    writers: list[asyncio.StreamWriter] = []

    async def connect(key: FrontendKey) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(key.address, key.port)
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[StartServer]:
    """Starts UDP servers; all of them end with the test."""
    servers: list[Server] = []

    async def start(name: str = "", host: str = "127.0.0.1") -> Target:
        servers.append(Server(name.encode(), host))
        return Target(host, servers[-1].socket.getsockname()[1])

    yield start
    for one in servers:
        one.close()


@pytest.fixture
def client() -> Any:
    """Makes clients; all of them end with the test."""
    made: list[Asking] = []

    def make(key: FrontendKey, asked: str = "", source: str = "") -> Asking:
        made.append(Asking(key, asked or key.address, source))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


@pytest.fixture
def pair() -> Iterator[Callable[[], tuple[SocketType, socket.socket]]]:
    """Makes pairs: the first is for the reactor, which may close it, the second for the test."""
    with contextlib.ExitStack() as stack:

        def make() -> tuple[SocketType, socket.socket]:
            near, far = socket.socketpair()
            stack.enter_context(far)
            mine = SocketType(near.family, near.type, near.proto, near.detach())
            stack.callback(mine.close)
            return mine, far

        yield make
