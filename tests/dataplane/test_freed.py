"""What goes is freed at once.

A worker sets what it knows aside from garbage collection, so what goes in a cycle would stay for good.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from proxy.plan.frontend import Delta
from tests.dataplane.conftest import Backends, Connect, DataPlane
from tests.dataplane.datagrams import Client, StartServer

COUNTED = ("TcpListener", "TcpAcceptor", "TcpRelay", "UdpListener", "UdpReceiver", "UdpFlow", "LazyPool", "Balancer")


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def living() -> Counter[str]:
    """How many there are of each kind that comes with a frontend or a client."""
    names = (type(each).__name__ for each in gc.get_objects())
    return Counter(name for name in names if name in COUNTED)


@pytest.mark.usefixtures("without_collector")
async def test_a_tcp_frontend_that_had_a_client(data_plane: DataPlane, backends: Backends, connect: Connect) -> None:
    before = living()
    for number in range(3):
        pool = data_plane.pool(await backends.named("a"), key=f"web-{number}", affinity_seconds=60)
        key = data_plane.serve(pool)
        reader, writer = await connect(key)
        assert await reader.read() == b"a"
        writer.close()
        await data_plane.records_of(number + 1)
        data_plane.apply(Delta(removed_frontends=(key,), removed_pools=(pool.key,)), {})
    await asyncio.sleep(0)
    assert living() - before == Counter()


@pytest.mark.usefixtures("without_collector")
async def test_a_udp_frontend_that_had_a_client(data_plane: DataPlane, server: StartServer, client: Client) -> None:
    before = living()
    for number in range(3):
        pool = data_plane.pool(await server("a"), key=f"dns-{number}", protocol="UDP", affinity_seconds=60)
        key = data_plane.serve(pool)
        assert await client(key).ask(b"?") == b"a?"
        data_plane.apply(Delta(removed_frontends=(key,), removed_pools=(pool.key,)), {})
    await asyncio.sleep(0)
    assert living() - before == Counter()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_a_frontend_that_nobody_used(data_plane: DataPlane, protocol: str) -> None:
    before = living()
    pool = data_plane.pool(key="idle", protocol=protocol)
    key = data_plane.serve(pool)
    data_plane.apply(Delta(removed_frontends=(key,), removed_pools=(pool.key,)), {})
    await asyncio.sleep(0)
    assert living() - before == Counter()
