"""What a worker answers about its flows: connections, affinity, and what would become of the next one."""

import asyncio
import socket
from collections.abc import Generator
from typing import Any, TypeVar

import pytest

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.foresight import Binding, Candidate, Foresight
from proxy.dataplane.inspection import _bounded
from proxy.dataplane.question import (
    AffinityRows,
    Answer,
    Connections,
    Foresee,
    Foreseen,
    ListAffinity,
    ListConnections,
    Question,
)
from proxy.dataplane.worker import Worker
from proxy.plan.frontend import FrontendKey, Target

HERE = "127.0.0.1"
Result = TypeVar("Result")


def result_of(steps: Generator[None, None, Result]) -> Result:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def answered(data_plane: Any, question: Question) -> Answer:
    worker: Worker = data_plane.worker
    return result_of(worker.answer(question))


def connections(data_plane: Any, *arguments: Any) -> Connections:
    answer = answered(data_plane, ListConnections(*arguments))
    assert isinstance(answer, Connections)
    return answer


def affinity(data_plane: Any, *arguments: Any) -> AffinityRows:
    answer = answered(data_plane, ListAffinity(*arguments))
    assert isinstance(answer, AffinityRows)
    return answer


def foresee(data_plane: Any, key: FrontendKey, client: str = HERE, port: int = 0) -> Foresight:
    answer = answered(data_plane, Foresee(key, key.address, client, port))
    assert isinstance(answer, Foreseen)
    assert answer.foresight is not None
    return answer.foresight


async def ask(key: FrontendKey, source: str = HERE) -> str:
    reader, writer = await asyncio.open_connection(key.address, key.port, local_addr=(source, 0))
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()


async def talk(connect: Any, key: FrontendKey) -> str:
    """Open a connection that stays, and say hello; gives the client's address."""
    reader, writer = await connect(key)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    host, port = writer.get_extra_info("sockname")
    return f"{host}:{port}"


async def test_connections_are_told_with_both_ends_and_their_bytes(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    target = await backends.echo()
    key = data_plane.serve(data_plane.pool(Target(target.address, target.port, 1, "web-1")))
    client = await talk(connect, key)
    (row,) = connections(data_plane).rows
    assert (row.client, row.service, row.frontend) == (client, "default/web", f"127.0.0.1:{key.port}/TCP")
    assert (row.endpoint, row.pod) == (f"{target.address}:{target.port}", "web-1")
    assert (row.received, row.sent) == (5, 5)
    assert row.seconds >= row.connect_seconds >= 0


async def test_the_newest_connections_come_first_and_the_rest_is_not_hidden(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    clients = [await talk(connect, key) for _ in range(3)]
    everything, part = connections(data_plane), connections(data_plane, "", "", 2)
    assert [row.client for row in everything.rows] == clients[::-1]
    assert everything.complete
    assert [row.client for row in part.rows] == clients[:0:-1]
    assert not part.complete
    assert connections(data_plane, "", "", 3).complete


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("", ""), {"default/web", "default/mail"}),
        (("default", ""), {"default/web", "default/mail"}),
        (("default", "mail"), {"default/mail"}),
        (("defaul", ""), set()),
        (("default", "we"), set()),
    ],
)
async def test_one_service_or_namespace_may_be_asked_for(
    data_plane: Any, backends: Any, connect: Any, asked: tuple[str, str], found: set[str]
) -> None:
    for name in ("web", "mail"):
        await talk(connect, data_plane.serve(data_plane.pool(await backends.echo(), key=name, affinity_seconds=9)))
    assert {row.service for row in connections(data_plane, *asked).rows} == found
    assert {row.service for row in affinity(data_plane, *asked).rows} == found


async def test_udp_flows_are_connections_too(data_plane: Any) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as backend, socket.socket(type=socket.SOCK_DGRAM) as client:
        backend.bind((HERE, 0))
        client.bind((HERE, 0))
        target = Target(*backend.getsockname())
        key = data_plane.serve(data_plane.pool(target, protocol="UDP"))
        client.sendto(b"hello", (key.address, key.port))
        await until(lambda: connections(data_plane).rows)
        (row,) = connections(data_plane).rows
        host, port = client.getsockname()
        assert (row.client, row.frontend, row.received) == (f"{host}:{port}", f"{HERE}:{key.port}/UDP", 5)
        assert foresee(data_plane, key, HERE, port).flow == Candidate(f"{target.address}:{target.port}", "", 1.0)
        assert foresee(data_plane, key, HERE, port - 1).flow is None


async def until(look: Any) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110 - the loop itself brings it about
            await asyncio.sleep(0)


async def test_affinity_entries_are_told_until_their_endpoint_leaves(data_plane: Any, backends: Any) -> None:
    target = await backends.named("a")
    named = Target(target.address, target.port, 1, "web-1")
    pool = data_plane.pool(named, affinity_seconds=60, port_name="http")
    key = data_plane.serve(pool)
    for source in ("127.0.0.2", "127.0.0.3"):
        await ask(key, source)
    rows = affinity(data_plane).rows
    assert [row.client for row in rows] == ["127.0.0.3", "127.0.0.2"]
    assert {(row.service, row.port, row.endpoint, row.pod) for row in rows} == {
        ("default/web", "http/TCP", f"{named.address}:{named.port}", "web-1")
    }
    assert all(0 < row.seconds_left <= 60 for row in rows)
    assert not affinity(data_plane, "", "", 1).complete
    data_plane.change(data_plane.pool(await backends.named("b"), affinity_seconds=60))
    assert affinity(data_plane) == AffinityRows((), complete=True)


async def test_an_affinity_entry_of_an_ipv6_client_has_its_address(data_plane: Any, backends: Any) -> None:
    key = data_plane.serve(data_plane.pool(await backends.named("a", "::1"), affinity_seconds=60), "::1")
    await ask(key, "::1")
    assert [row.client for row in affinity(data_plane).rows] == ["::1"]


async def test_a_question_changes_nothing(data_plane: Any, backends: Any) -> None:
    key = data_plane.serve(data_plane.pool(*[await backends.named(name) for name in "abc"], affinity_seconds=60))
    await ask(key)
    before = data_plane.resources.affinity.statistics()
    questions: list[Question] = [
        ListConnections(),
        ListAffinity(),
        Foresee(key, key.address, "127.0.0.9"),
        Foresee(key, key.address, HERE),
    ]
    for question in questions:
        answered(data_plane, question)
    assert data_plane.resources.affinity.statistics() == before


@pytest.mark.parametrize("scheduler", ["rr", "sh", "mh", "lc", "wrr", "dh"])
async def test_what_is_foreseen_happens(data_plane: Any, backends: Any, scheduler: str) -> None:
    targets = {name: await backends.named(name) for name in "abc"}
    key = data_plane.serve(data_plane.pool(*targets.values(), scheduler=scheduler))
    for number in range(2, 12):
        (candidate,) = foresee(data_plane, key, f"127.0.0.{number}").candidates
        served = targets[await ask(key, f"127.0.0.{number}")]
        assert candidate == Candidate(f"{served.address}:{served.port}", "", 1.0)


async def test_a_bound_client_is_foreseen_to_stay(data_plane: Any, backends: Any) -> None:
    targets = {name: await backends.named(name) for name in "abc"}
    key = data_plane.serve(data_plane.pool(*targets.values(), affinity_seconds=60))
    bound = targets[await ask(key)]
    foresight = foresee(data_plane, key)
    assert foresight.binding is not None
    assert foresight.binding.seconds_left == pytest.approx(60, abs=30)
    assert foresight.candidates == (Candidate(f"{bound.address}:{bound.port}", "", 1.0),)
    other = foresee(data_plane, key, "127.0.0.9")
    assert other.binding is None
    assert other.candidates != foresight.candidates


async def test_a_binding_to_a_drained_endpoint_is_told_and_ignored(data_plane: Any, backends: Any) -> None:
    targets = {name: await backends.named(name) for name in "ab"}
    key = data_plane.serve(data_plane.pool(*targets.values(), affinity_seconds=60))
    bound = targets[await ask(key)]
    (other,) = (target for target in targets.values() if target != bound)
    data_plane.change(data_plane.pool(Target(bound.address, bound.port, 0), other, affinity_seconds=60))
    foresight = foresee(data_plane, key)
    assert isinstance(foresight.binding, Binding)
    assert foresight.binding.ignored == "drained"
    assert foresight.candidates == (Candidate(f"{other.address}:{other.port}", "", 1.0),)


async def test_an_endpoint_that_refused_is_foreseen_to_be_avoided(data_plane: Any, backends: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind((HERE, 0))
        dead = Target(*nobody.getsockname())
        alive = await backends.named("a")
        key = data_plane.serve(data_plane.pool(dead, alive))
        while not foresee(data_plane, key).failing:
            await ask(key)
        foresight = foresee(data_plane, key)
        assert list(foresight.failing) == [f"{dead.address}:{dead.port}"]
        assert {foresee(data_plane, key).candidates for _ in range(3)} == {
            (Candidate(f"{alive.address}:{alive.port}", "", 1.0),)
        }


async def test_where_all_refused_they_are_foreseen_to_be_tried_again(data_plane: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind((HERE, 0))
        dead = Target(*nobody.getsockname())
        key = data_plane.serve(data_plane.pool(dead))
        with pytest.raises(ConnectionError):
            await ask(key)
        assert foresee(data_plane, key).candidates == (Candidate(f"{dead.address}:{dead.port}", "", 1.0),)


async def test_without_a_client_a_source_hash_foresees_nobody(data_plane: Any, backends: Any) -> None:
    target = await backends.named("a")
    by_source = data_plane.serve(data_plane.pool(target, scheduler="sh"))
    in_turn = data_plane.serve(data_plane.pool(target, key="mail"))
    assert foresee(data_plane, by_source, "").candidates == ()
    assert foresee(data_plane, by_source, "").keyed_by == "source"
    assert len(foresee(data_plane, in_turn, "").candidates) == 1


async def test_an_unknown_frontend_has_no_future(data_plane: Any) -> None:
    key = FrontendKey("TCP", HERE, 1)
    assert answered(data_plane, Foresee(key, HERE)) == Foreseen(None)


@pytest.mark.parametrize(
    ("candidates", "most", "found"),
    [
        ([], 2, ([], True)),
        ([1, 2], 2, ([1, 2], True)),
        ([1, None, 2, None], 2, ([1, 2], True)),
        ([1, 2, None, 3], 2, ([1, 2], False)),
        ([1], 0, ([], False)),
    ],
)
def test_what_is_left_out_is_admitted(candidates: list[int | None], most: int, found: tuple[list[int], bool]) -> None:
    assert result_of(_bounded(candidates, most)) == found


def test_no_answer_looks_at_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.dataplane.inspection.MOST_EXAMINED", 3)
    assert result_of(_bounded([None, None, 1, 2], 10)) == ([1], False)
    assert result_of(_bounded([None, 1, 2], 10)) == ([1, 2], True)


async def test_connections_that_end_between_two_steps_of_an_answer_are_left_out(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    for _ in range(40):
        await talk(connect, key)
    steps = data_plane.worker.answer(ListConnections("", "", 1000))
    next(steps)
    for relay in list(data_plane.resources.relays)[:10]:
        relay.end(CloseReason.SHUTDOWN)
    assert len(result_of(steps).rows) == 30
