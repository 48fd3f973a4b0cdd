"""How often a worker calls the kernel for a connection and for a request: what tests/bench/README.md lists, no more.

The worker is stopped while each of the two ends does its part, so that it meets the whole of it at once, as under load.
"""

import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.system.harness.clients import connect, receive_all
from tests.system.harness.eventually import eventually
from tests.system.harness.passage import Passage
from tests.system.harness.svcproxy import StartSvcproxy

pytestmark = pytest.mark.requires("strace")

BURST = 1 + 2 + 4
"""Accepts double from turn to turn: so many clients are taken without one that finds nobody."""
STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)

Calls = Callable[[], Counter[str]]


@contextmanager
def traced(process: psutil.Process, directory: Path) -> Iterator[Calls]:
    """The system calls of `process` from now on, by name; not those that wait for events."""
    trace = directory / "trace"
    command = [shutil.which("strace") or "strace", "-qq", "-e", "signal=none", "-o", str(trace), "-p", str(process.pid)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def attached() -> bool:
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            pytest.skip(f"not permitted: {tracer.stderr.read().strip()}")
        return "\nTracerPid:\t0\n" not in Path(f"/proc/{process.pid}/status").read_text()

    def calls() -> Counter[str]:
        names = (line.partition("(")[0] for line in trace.read_text().splitlines() if "(" in line)
        return Counter(name for name in names if name not in ("epoll_wait", "restart_syscall"))

    try:
        eventually(attached, "strace is attached")
        yield calls
    finally:
        tracer.terminate()
        tracer.communicate(timeout=20)


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """The process meets at once what happens in here."""
    process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: process.status() in STOPPED, "the worker is stopped")
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_connection_takes_sixteen_system_calls(svcproxy: StartSvcproxy, passage: Passage, tmp_path: Path) -> None:
    (worker,) = svcproxy(passage.manifests).workers()
    with traced(worker, tmp_path) as calls:
        with stopped(worker):
            clients = [connect(passage.address, passage.port) for _ in range(BURST)]
            for client in clients:
                client.sendall(b"request")
        backends = [passage.accept() for _ in clients]
        for backend in backends:
            assert backend.recv(100) == b"request"
        with stopped(worker):
            for backend in backends:
                backend.sendall(b"answer")
                backend.close()
        for client in clients:
            assert receive_all(client) == b"answer"
        with stopped(worker):
            for client in clients:
                client.close()
        eventually(lambda: calls()["close"] == 2 * BURST, "both sockets of each connection are closed")
        once, twice, thrice = BURST, 2 * BURST, 3 * BURST
        assert calls() == {
            "accept4": once,
            "getsockname": once,
            "socket": once,
            # No Nagle delay of the first ACK; an orderly end in the place of a reset.
            "setsockopt": twice,
            "connect": once,
            "epoll_ctl": twice,
            "recvfrom": thrice,
            "sendto": twice,
            "shutdown": once,
            "close": twice,
        }


def test_a_request_on_a_connection_that_is_kept_takes_two_reads_and_two_sends(
    svcproxy: StartSvcproxy, passage: Passage, tmp_path: Path
) -> None:
    (worker,) = svcproxy(passage.manifests).workers()
    client, backend = passage.open()

    def exchange() -> None:
        client.sendall(b"request")
        assert backend.recv(100) == b"request"
        backend.sendall(b"answer")
        assert client.recv(100) == b"answer"

    for _ in range(3):
        exchange()
    with traced(worker, tmp_path) as calls:
        for _ in range(50):
            exchange()
        eventually(lambda: calls().total() >= 200, "everything is written down")
        assert calls() == {"recvfrom": 100, "sendto": 100}
