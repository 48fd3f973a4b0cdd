"""A fast writer against a reader that has stopped: the proxy's memory is bounded, and everything arrives in the end."""

import hashlib
import select
import socket
import threading
from collections.abc import Sequence

import psutil
import pytest

from tests.system.harness.eventually import eventually
from tests.system.harness.passage import Passage
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

MEBIBYTE = 1024 * 1024
TOTAL = 256 * MEBIBYTE
ALLOWED = 24 * MEBIBYTE
STALLED_SECONDS = 0.5
"""A writer that may not write for this long, on one machine, is being held back."""


class Writer:
    """Writes `TOTAL` bytes of a pattern in a thread of its own; `digest` is of all of them once it has joined."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._hash = hashlib.sha256()
        self.written = 0
        self.thread = threading.Thread(target=self._write, name="writer", daemon=True)
        self.thread.start()

    @property
    def digest(self) -> bytes:
        self.thread.join(60)
        assert self.written == TOTAL
        return self._hash.digest()

    def _write(self) -> None:
        for number in range(TOTAL // MEBIBYTE):
            block = number.to_bytes(4, "big") * (MEBIBYTE // 4)
            self._hash.update(block)
            view = memoryview(block)
            while view:
                sent = self._end.send(view)
                self.written += sent
                view = view[sent:]
        self._end.shutdown(socket.SHUT_WR)


def is_held_back(ends: Sequence[socket.socket]) -> bool:
    return not select.select([], ends, [], STALLED_SECONDS)[1]


def fill(ends: Sequence[socket.socket]) -> None:
    """Write to all of these for as long as one of them takes anything, which is bounded."""
    block = bytes(MEBIBYTE)
    for end in ends:
        end.setblocking(False)
    for _ in range(TOTAL // MEBIBYTE * len(ends)):
        if is_held_back(ends):
            return
        for end in select.select([], ends, [], 0)[1]:
            end.send(block)
    raise AssertionError("the writers were never held back")


def digest_of(end: socket.socket) -> bytes:
    received, buffer = hashlib.sha256(), bytearray(MEBIBYTE)
    while size := end.recv_into(buffer):
        received.update(memoryview(buffer)[:size])
    return received.digest()


def memory_of(proxy: Svcproxy) -> int:
    return int(psutil.Process(proxy.pid).memory_info().rss)


@pytest.mark.parametrize("upload", [True, False], ids=["upload", "download"])
def test_memory_is_bounded_and_every_byte_arrives(svcproxy: StartSvcproxy, passage: Passage, upload: bool) -> None:
    proxy = svcproxy(passage.manifests)
    client, backend = passage.open()
    source, sink = (client, backend) if upload else (backend, client)
    source.settimeout(60)
    before = memory_of(proxy)
    writer = Writer(source)
    eventually(lambda: is_held_back([source]), "a writer that is held back")
    assert writer.written < TOTAL
    assert memory_of(proxy) - before < ALLOWED
    received = digest_of(sink)
    assert memory_of(proxy) - before < ALLOWED
    assert received == writer.digest


def test_many_stopped_readers_are_bounded_together_and_hold_up_nobody(
    svcproxy: StartSvcproxy, passage: Passage
) -> None:
    proxy = svcproxy(passage.manifests)
    before = memory_of(proxy)
    pairs = [passage.open() for _ in range(40)]
    clients = [client for client, _ in pairs]
    fill(clients)
    assert memory_of(proxy) - before < ALLOWED
    lively, answering = passage.open()
    lively.sendall(b"hello")
    assert answering.recv(5) == b"hello"
