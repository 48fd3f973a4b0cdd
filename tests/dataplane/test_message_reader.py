"""Messages with sockets: whole, one at a time, and with all of their sockets or none."""

import os
import resource
import socket
from array import array
from collections.abc import Iterator

import pytest

from proxy.dataplane.message_reader import ChannelEnded, MessageReader, SocketsLost
from proxy.dataplane.wire import framed

Ends = tuple[socket.socket, MessageReader]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, MessageReader(theirs)


def send(sock: socket.socket, payload: bytes, descriptors: list[int]) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
    sock.sendmsg([framed(payload, len(descriptors))], rights)


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_several_messages_come_one_by_one_each_with_its_own_sockets(ends: Ends) -> None:
    ours, reader = ends
    for payload, count in ((b"a", 1), (b"", 0), (b"c" * 3000, 2)):
        send(ours, payload, [ours.fileno()] * count)
    for payload, count in ((b"a", 1), (b"", 0), (b"c" * 3000, 2)):
        assert reader.sockets_ahead() == count
        incoming = reader.take()
        assert (incoming.payload, len(incoming.descriptors)) == (payload, count)
        for descriptor in incoming.descriptors:
            assert os.fstat(descriptor).st_ino == os.fstat(ours.fileno()).st_ino
            os.close(descriptor)
    with pytest.raises(BlockingIOError):
        reader.take()


def test_to_look_ahead_takes_no_socket(ends: Ends) -> None:
    ours, reader = ends
    send(ours, b"a", [ours.fileno()] * 5)
    before = open_descriptors()
    assert reader.sockets_ahead() == 5
    assert reader.sockets_ahead() == 5
    assert open_descriptors() == before
    for descriptor in reader.take().descriptors:
        os.close(descriptor)


def test_a_message_may_come_in_pieces(ends: Ends) -> None:
    ours, reader = ends
    data = framed(b"payload", 1)
    ours.sendmsg([data[:8]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [ours.fileno()]))])
    with pytest.raises(BlockingIOError):
        reader.take()
    assert reader.sockets_ahead() == 0
    ours.send(data[8:])
    payload, (descriptor,) = reader.take()
    os.close(descriptor)
    assert payload == b"payload"


def test_the_end_of_the_channel_is_told(ends: Ends) -> None:
    ours, reader = ends
    send(ours, b"last", [])
    ours.close()
    assert reader.take().payload == b"last"
    with pytest.raises(ChannelEnded):
        reader.sockets_ahead()


def test_a_process_with_too_few_descriptors_loses_the_message_and_no_descriptor(ends: Ends) -> None:
    ours, reader = ends
    send(ours, b"a", [ours.fileno()] * 20)
    before = open_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Whatever other tests left open, five descriptors are to be had.
    unused = [number for number in range(len(before) + 6) if str(number) not in before]
    resource.setrlimit(resource.RLIMIT_NOFILE, (unused[5], hard))
    try:
        with pytest.raises(SocketsLost, match="of 20 sockets came"):
            reader.take()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_descriptors() == before
