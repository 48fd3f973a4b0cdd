"""How the end of one side reaches the other: a FIN as a FIN, a reset as a reset."""

import socket
import struct
import threading

import pytest

from tests.system.harness.clients import connect, receive_all
from tests.system.harness.passage import Passage
from tests.system.harness.svcproxy import StartSvcproxy

MEBIBYTE = bytes(range(256)) * 4096
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture(autouse=True)
def _served(svcproxy: StartSvcproxy, passage: Passage) -> None:
    svcproxy(passage.manifests)


def reset(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    end.close()


def send_and_finish(end: socket.socket, data: bytes) -> None:
    end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def both_ways(passage: Passage, client_first: bool) -> tuple[socket.socket, socket.socket]:
    client, backend = passage.open()
    return (client, backend) if client_first else (backend, client)


@pytest.mark.parametrize("client_first", [True, False], ids=["client first", "backend first"])
def test_one_side_finishes_and_the_other_goes_on(passage: Passage, client_first: bool) -> None:
    first, second = both_ways(passage, client_first)
    send_and_finish(first, b"the question")
    assert receive_all(second) == b"the question"
    answer = threading.Thread(target=send_and_finish, args=(second, MEBIBYTE))
    answer.start()
    assert receive_all(first) == MEBIBYTE
    answer.join()


@pytest.mark.parametrize("client_first", [True, False], ids=["client first", "backend first"])
def test_a_finish_without_a_byte_arrives_as_one(passage: Passage, client_first: bool) -> None:
    first, second = both_ways(passage, client_first)
    first.shutdown(socket.SHUT_WR)
    assert second.recv(1) == b""
    second.shutdown(socket.SHUT_WR)
    assert first.recv(1) == b""


@pytest.mark.parametrize("client_first", [True, False], ids=["from the client", "from the backend"])
def test_a_reset_arrives_as_a_reset(passage: Passage, client_first: bool) -> None:
    first, second = both_ways(passage, client_first)
    reset(first)
    with pytest.raises(ConnectionResetError):
        second.recv(1)


@pytest.mark.parametrize("client_first", [True, False], ids=["from the client", "from the backend"])
def test_a_reset_after_the_other_side_had_finished_arrives_as_a_reset(passage: Passage, client_first: bool) -> None:
    first, second = both_ways(passage, client_first)
    send_and_finish(second, b"all of it")
    assert receive_all(first) == b"all of it"
    reset(first)
    with pytest.raises(ConnectionResetError):
        second.recv(1)


@pytest.mark.parametrize("client_first", [True, False], ids=["from the client", "from the backend"])
def test_a_reset_after_its_own_side_had_finished_arrives_as_a_reset(passage: Passage, client_first: bool) -> None:
    first, second = both_ways(passage, client_first)
    send_and_finish(first, b"all of it")
    assert receive_all(second) == b"all of it"
    second.sendall(b"an answer that nobody reads")
    assert first.recv(1) == b"a"
    reset(first)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):  # the latter where the FIN had come before
        send_until_it_fails(second)


def send_until_it_fails(end: socket.socket) -> None:
    for _ in range(1000):
        end.sendall(MEBIBYTE)


def test_a_truncated_answer_does_not_look_complete(passage: Passage) -> None:
    client, backend = passage.open()
    backend.sendall(b"the beginning")
    assert client.recv(100) == b"the beginning"
    reset(backend)
    with pytest.raises(ConnectionResetError):
        receive_all(client)


def test_clients_that_leave_at_once_harm_nobody(passage: Passage) -> None:
    client, backend = passage.open()
    for _ in range(50):
        reset(connect(passage.address, passage.port))
    client.sendall(b"from the patient one")
    assert backend.recv(100) == b"from the patient one"
    with connect(passage.address, passage.port) as late:
        late.sendall(b"from the late one")
        assert any(first_bytes(passage.accept()) == b"from the late one" for _ in range(51))


def first_bytes(end: socket.socket) -> bytes:
    try:
        return end.recv(100)
    except ConnectionResetError:
        return b""
