"""The control process's end of the channel: messages that are made one by one, and what follows them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from proxy.dataplane.messages import Ping, Reply, Request
from proxy.dataplane.wire import FrameReader, framed
from proxy.workers import worker_channel
from proxy.workers.worker_channel import Message, WorkerChannel


class Many:
    """Messages that are made when they are asked for; `made` is how many were."""

    def __init__(self, count: int, size: int) -> None:
        self.payloads = [bytes([number]) * size for number in range(count)]
        self.made = 0

    def __iter__(self) -> Iterator[Message]:
        for payload in self.payloads:
            self.made += 1
            yield payload, ()


class Worker:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self._frames = FrameReader()

    async def take(self) -> bytes:
        async with asyncio.timeout(20):
            while (message := self._frames.next()) is None:
                self._frames.feed(await asyncio.get_running_loop().sock_recv(self.socket, 65536))
        return message


@pytest.fixture
async def ends() -> AsyncIterator[tuple[WorkerChannel, Worker]]:
    ours, theirs = socket.socketpair()
    channel = WorkerChannel(ours)
    yield channel, Worker(theirs)
    channel.close()
    theirs.close()


async def test_messages_in_turn_are_made_as_the_worker_takes_them_and_all_that_is_sent_later_follows(
    ends: tuple[WorkerChannel, Worker],
) -> None:
    channel, worker = ends
    many = Many(100, 50_000)
    said: list[str] = []
    channel.send(b"first")
    channel.send_in_turn(iter(many))
    channel.after_sent(lambda: said.append("sent"))
    channel.send(b"last")
    assert many.made < 100
    assert said == []
    assert [await worker.take() for _ in range(102)] == [b"first", *many.payloads, b"last"]
    assert said == ["sent"]


async def test_while_messages_are_made_others_have_their_turns(
    ends: tuple[WorkerChannel, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, worker = ends
    monkeypatch.setattr(worker_channel, "_TURN", 0.0)
    many = Many(5, 10)
    channel.send_in_turn(iter(many))
    assert many.made == 1
    assert [await worker.take() for _ in range(5)] == many.payloads


async def test_a_worker_that_goes_ends_the_making(ends: tuple[WorkerChannel, Worker]) -> None:
    channel, worker = ends
    many = Many(100, 50_000)
    said: list[str] = []
    channel.send_in_turn(iter(many))
    channel.after_sent(lambda: said.append("never will"))
    worker.socket.close()
    async with asyncio.timeout(20):
        await channel.ready.wait()
    assert said == ["never will"]
    assert many.made < 100


def owed(channel: WorkerChannel) -> bool:
    return channel.is_owed_a_sign


async def test_a_worker_owes_a_sign_once_a_ping_has_left_and_until_it_answers(
    ends: tuple[WorkerChannel, Worker],
) -> None:
    channel, worker = ends
    assert not owed(channel)
    channel.ping()
    channel.ping()
    assert owed(channel)
    request = msgspec.msgpack.decode(await worker.take(), type=Request)
    assert request == Request(1, Ping())
    worker.socket.send(framed(msgspec.msgpack.encode(Reply(1, msgspec.Raw(msgspec.msgpack.encode(None))))))
    async with asyncio.timeout(20):
        while not channel.signs:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
    assert not owed(channel)
    with pytest.raises(BlockingIOError):
        worker.socket.recv(1)


async def test_a_full_channel_owes_a_sign_and_room_in_it_is_one(ends: tuple[WorkerChannel, Worker]) -> None:
    channel, worker = ends
    size = 3 * 1024 * 1024
    channel.send(bytes(size))
    assert owed(channel)
    assert 0 < channel.backlog < size
    before = channel.signs
    await worker.take()
    assert not owed(channel)
    assert channel.backlog == 0
    assert channel.signs > before
