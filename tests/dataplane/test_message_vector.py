"""Many datagrams a call, over real sockets."""

import socket
from collections.abc import Iterator

import pytest

from proxy.dataplane.envelope import layout_of
from proxy.dataplane.message_vector import SLOT_SIZE, MessageVector, slots_of

LAYOUT = layout_of(socket.AF_INET, wildcard=False)


def vector(count: int) -> MessageVector:
    return MessageVector(slots_of(bytearray(count * SLOT_SIZE)), LAYOUT)


def received(messages: MessageVector, count: int) -> list[bytes]:
    return [bytes(messages.slots[index][: messages.sizes[index]]) for index in range(count)]


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        yield server


@pytest.fixture
def client(server: socket.socket) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(server.getsockname())
        client.settimeout(5)
        yield client


def test_one_call_takes_what_is_there(server: socket.socket, client: socket.socket) -> None:
    messages = vector(4)
    sent = [b"one", b"", bytes(65507)]
    for data in sent:
        client.send(data)
    assert messages.receive(server.fileno()) == 3
    assert received(messages, 3) == sent
    assert messages.receive(server.fileno()) == 0


def test_what_does_not_fit_waits_for_the_next_call(server: socket.socket, client: socket.socket) -> None:
    messages = vector(2)
    for data in (b"a", b"b", b"c"):
        client.send(data)
    assert [messages.receive(server.fileno()) for _ in range(3)] == [2, 1, 0]
    assert received(messages, 2) == [b"c", b"b"]


def test_receiving_can_begin_behind_what_is_held(server: socket.socket, client: socket.socket) -> None:
    messages = vector(3)
    messages.slots[0][:4] = b"held"
    for data in (b"a", b"b", b"c"):
        client.send(data)
    assert messages.receive(server.fileno(), first=1) == 2
    assert (bytes(messages.slots[0][:4]), received(messages, 3)[1:]) == (b"held", [b"a", b"b"])


def test_every_datagram_has_its_own_sender(server: socket.socket) -> None:
    messages = vector(3)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for each in clients:
        each.connect(server.getsockname())
        each.send(b"")
    count = messages.receive(server.fileno())
    size = len(messages.envelopes) // 3
    senders = [LAYOUT.client(bytes(messages.envelopes[index * size : (index + 1) * size])) for index in range(count)]
    assert senders == [each.getsockname() for each in clients]
    for each in clients:
        each.close()


def test_a_refusal_is_raised(server: socket.socket, client: socket.socket) -> None:
    server.close()
    client.setblocking(False)
    client.send(b"anybody?")
    messages = MessageVector(slots_of(bytearray(SLOT_SIZE)), None)
    with pytest.raises(ConnectionRefusedError):
        messages.receive(client.fileno())
    assert messages.receive(client.fileno()) == 0


def test_sending_stops_before_the_message_that_cannot_go(server: socket.socket, client: socket.socket) -> None:
    client.send(b"")
    messages = vector(3)
    assert messages.receive(server.fileno()) == 1
    size = len(messages.envelopes) // 3
    envelope = bytes(messages.envelopes[:size])
    # Nobody may send to the broadcast address without asking for it.
    broadcast = envelope[:4] + b"\xff" * 4 + envelope[8:]
    for index, to in enumerate((envelope, broadcast, envelope)):
        messages.envelopes[index * size : (index + 1) * size] = to
        messages.slots[index][:1] = b"%d" % index
        messages.room[index] = 1
    assert messages.send(server.fileno(), 0, 3) == 1
    with pytest.raises(PermissionError):
        messages.send(server.fileno(), 1, 3)
    assert messages.send(server.fileno(), 2, 3) == 1
    assert [client.recv(10) for _ in range(2)] == [b"0", b"2"]
