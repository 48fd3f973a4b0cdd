"""The worker: messages applied in order, affinity shared and dropped, and the end of everything."""

import asyncio
from typing import Any

import pytest

from proxy.affinity import AffinityTable
from proxy.capture.listening_socket import open_listening_socket
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.steps import take_all
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Target
from proxy.shared_counts.layout import PoolCell


async def ask(key: FrontendKey) -> bytes:
    reader, writer = await asyncio.open_connection(key.address, key.port)
    try:
        return await reader.read()
    finally:
        writer.close()


async def three(backends: Any) -> list[Target]:
    return [await backends.named(name) for name in "abc"]


def second_frontend(data_plane: Any, pool: Any) -> FrontendKey:
    key = data_plane.serve(pool, "127.0.0.2")
    assert isinstance(key, FrontendKey)
    return key


async def test_a_flush_writes_what_has_ended_by_then(data_plane: Any, backends: Any) -> None:
    key = data_plane.serve(data_plane.pool(await backends.named("a")))
    assert await ask(key) == b"a"
    await data_plane.records_of(1)
    data_plane.worker.flush()
    counts = data_plane.worker.balancer("web").tally.counts
    ended = counts[PoolCell.CLOSED : PoolCell.CLOSED + len(CloseReason)]
    assert (sum(ended), counts[PoolCell.SENT_BYTES]) == (1, 1)


async def test_affinity_holds_over_frontends_and_pools_of_one_service_port(data_plane: Any, backends: Any) -> None:
    targets = await three(backends)
    cluster = data_plane.serve(data_plane.pool(*targets, key="web", affinity_key="web", affinity_seconds=60))
    local = data_plane.pool(*targets[1:], *targets[:1], key="web/local", affinity_key="web", affinity_seconds=60)
    node = second_frontend(data_plane, local)
    assert len({await ask(key) for _ in range(3) for key in (cluster, node)}) == 1


async def test_affinity_is_not_shared_between_service_ports(data_plane: Any, backends: Any) -> None:
    targets = await three(backends)
    one = data_plane.serve(data_plane.pool(*targets[:1], key="one", affinity_seconds=60))
    other = data_plane.serve(data_plane.pool(*targets[1:], key="other", affinity_seconds=60))
    assert await ask(one) == b"a"
    assert await ask(other) in (b"b", b"c")
    assert await ask(one) == b"a"


async def test_affinity_turns_on_and_off_on_the_spot(data_plane: Any, backends: Any) -> None:
    targets = await three(backends)
    key = data_plane.serve(data_plane.pool(*targets))
    assert len({await ask(key) for _ in range(3)}) == 3
    data_plane.change(data_plane.pool(*targets, affinity_seconds=60))
    bound = await ask(key)
    assert [await ask(key) for _ in range(3)] == [bound] * 3
    data_plane.change(data_plane.pool(*targets))
    assert len({await ask(key) for _ in range(3)}) == 3
    assert not data_plane.worker._pools._stickiness


async def test_affinity_outlives_a_change_of_the_endpoints_that_spares_the_bound_one(
    data_plane: Any, backends: Any
) -> None:
    targets = await three(backends)
    key = data_plane.serve(data_plane.pool(*targets[:1], affinity_seconds=60))
    assert await ask(key) == b"a"
    data_plane.change(data_plane.pool(*targets, affinity_seconds=60))
    assert {await ask(key) for _ in range(4)} == {b"a"}


async def test_an_endpoint_that_left_and_returned_is_bound_to_nobody(data_plane: Any, backends: Any) -> None:
    targets = await three(backends)
    key = data_plane.serve(data_plane.pool(*targets[:1], affinity_seconds=60))
    assert await ask(key) == b"a"
    data_plane.change(data_plane.pool(*targets[1:], affinity_seconds=60))
    bound = await ask(key)
    assert bound in (b"b", b"c")
    data_plane.change(data_plane.pool(*targets, affinity_seconds=60))
    assert {await ask(key) for _ in range(4)} == {bound}


@pytest.mark.parametrize("leaving", ["web", "local"])
async def test_a_client_that_makes_room_for_another_is_counted_for_its_own_service_port(
    data_plane: Any, backends: Any, leaving: str
) -> None:
    data_plane.resources.affinity = AffinityTable(1)
    targets = await three(backends)
    pools = {
        key: data_plane.pool(*targets, key=key, affinity_key="web", affinity_seconds=60) for key in ("web", "local")
    }
    keys = {key: data_plane.serve(pool) for key, pool in pools.items()}
    other = data_plane.serve(data_plane.pool(*targets, key="other", affinity_seconds=60))
    await ask(keys["local"])
    staying = data_plane.worker.balancer("local" if leaving == "web" else "web")
    data_plane.apply(Delta(removed_frontends=(keys[leaving],), removed_pools=(leaving,)), {})
    await ask(other)
    assert staying.tally.counts[PoolCell.AFFINITY_EVICTIONS] == 1
    assert data_plane.worker.balancer("other").tally.counts[PoolCell.AFFINITY_EVICTIONS] == 0


async def test_a_refusing_endpoint_unbinds_its_client(data_plane: Any, backends: Any) -> None:
    dying = await backends.named("a")
    staying = await backends.named("b")
    key = data_plane.serve(data_plane.pool(dying, affinity_seconds=60))
    assert await ask(key) == b"a"
    data_plane.change(data_plane.pool(dying, staying, affinity_seconds=60))
    assert await ask(key) == b"a"
    server = backends._servers[0]
    server.close()
    await server.wait_closed()
    assert [await ask(key) for _ in range(3)] == [b"b"] * 3


async def test_the_affinity_of_pools_that_are_gone_is_forgotten(data_plane: Any, backends: Any) -> None:
    targets = await three(backends)
    pools = [data_plane.pool(*targets, key=key, affinity_key="web", affinity_seconds=60) for key in ("web", "local")]
    keys = [data_plane.serve(pool) for pool in pools]
    await ask(keys[0])
    data_plane.apply(Delta(removed_frontends=(keys[0],), removed_pools=("web",)), {})
    assert "web" in data_plane.worker._pools._stickiness
    data_plane.apply(Delta(removed_frontends=(keys[1],), removed_pools=("local",)), {})
    assert not data_plane.worker._pools._stickiness
    assert len(data_plane.worker._pools) == 0


async def test_a_pool_may_change_the_name_of_its_affinity(data_plane: Any, backends: Any) -> None:
    targets = await three(backends)
    key = data_plane.serve(data_plane.pool(*targets, affinity_key="old", affinity_seconds=60))
    await ask(key)
    data_plane.change(data_plane.pool(*targets, affinity_key="new", affinity_seconds=60))
    bound = await ask(key)
    assert [await ask(key) for _ in range(3)] == [bound] * 3
    assert set(data_plane.worker._pools._stickiness) == {"new"}


async def test_a_frontend_moves_to_another_pool_and_connections_stay(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo(), key="old"))
    reader, writer = await connect(key)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    pool = data_plane.pool(await backends.named("new"), key="new")
    moved = Frontend(key, "new", "default/new", "NodePort")
    data_plane.apply(Delta(pools=(pool,), frontends=(moved,), removed_pools=("old",)), {})
    writer.write(b"y")
    assert await reader.readexactly(1) == b"y"
    assert await ask(key) == b"new"
    data_plane.change(data_plane.pool(key="new"))
    with pytest.raises(OSError, match=r"refused|reset"):
        await ask(key)


async def test_a_change_of_one_pool_touches_no_other(data_plane: Any, backends: Any) -> None:
    one = data_plane.serve(data_plane.pool(await backends.named("one"), key="one"))
    data_plane.serve(data_plane.pool(await backends.named("other"), key="other"))
    balancer = data_plane.worker.balancer("one")
    upstreams = list(balancer.upstreams)
    data_plane.change(data_plane.pool(key="other"))
    assert data_plane.worker.balancer("one") is balancer
    assert list(balancer.upstreams) == upstreams
    assert await ask(one) == b"one"


async def test_a_frontend_that_was_removed_can_come_back(data_plane: Any, backends: Any) -> None:
    pool = data_plane.pool(await backends.named("good"))
    key = data_plane.serve(pool)
    for _ in range(2):
        data_plane.apply(Delta(removed_frontends=(key,), removed_pools=(pool.key,)), {})
        frontend = Frontend(key, pool.key, pool.service, "NodePort")
        data_plane.apply(Delta(pools=(pool,), frontends=(frontend,)), {key: open_listening_socket(key)})
        assert await ask(key) == b"good"


async def test_removing_the_unknown_is_harmless(data_plane: Any, backends: Any) -> None:
    key = data_plane.serve(data_plane.pool(await backends.named("good")))
    data_plane.apply(Delta(removed_frontends=(FrontendKey("TCP", "127.0.0.1", 1),)), {})
    assert await ask(key) == b"good"


async def test_draining_takes_no_new_clients_and_tells_when_the_last_has_left(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    reader, writer = await connect(key)
    writer.write(b"x")
    await reader.readexactly(1)
    take_all(data_plane.worker.stop_accepting())
    emptied = asyncio.Event()
    data_plane.worker.when_empty(emptied.set)
    with pytest.raises(ConnectionRefusedError):
        await ask(key)
    writer.write(b"y")
    assert await reader.readexactly(1) == b"y"
    assert not emptied.is_set()
    writer.close()
    await asyncio.wait_for(emptied.wait(), 10)


async def test_without_a_client_draining_is_over_at_once(data_plane: Any) -> None:
    emptied = asyncio.Event()
    data_plane.worker.when_empty(emptied.set)
    assert emptied.is_set()


async def test_the_end_is_a_reset_with_its_reason(data_plane: Any, backends: Any, connect: Any) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    reader, writer = await connect(key)
    writer.write(b"x")
    await reader.readexactly(1)
    data_plane.worker.end_all(CloseReason.DRAIN_DEADLINE)
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "drain_deadline"
    assert data_plane.worker.open_relays == 0


async def test_a_worker_rests_while_nothing_is_open_and_nobody_waits_for_descriptors(
    data_plane: Any, backends: Any
) -> None:
    reactor, descriptors = data_plane.resources.reactor, data_plane.resources.descriptors

    def rests() -> bool:
        reactor._resting = False
        data_plane.worker._tick()
        return bool(reactor._resting)

    assert rests()
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    reader, writer = await asyncio.open_connection(key.address, key.port)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    assert not rests()
    writer.close()
    await data_plane.records_of(1)
    assert rests()
    flow = Unlimited()
    data_plane.worker._counts._sampler._began = float("inf")
    data_plane.resources.flows.add(flow)
    assert not rests()
    data_plane.resources.flows.discard(flow)
    held = descriptors.free
    descriptors.take(held)
    descriptors.wait(lambda: None)
    assert not rests()
    descriptors.give(held)
    assert rests()


class Unlimited:
    """A flow that never ends by itself."""

    used = float("-inf")

    def deadline(self) -> float:
        return float("inf")
