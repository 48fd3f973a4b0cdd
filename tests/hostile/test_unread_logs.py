"""Logs that nobody reads: traffic, health and the end do not wait for them, and what is read later is whole."""

import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.hostile.accounts import Accounts
from tests.hostile.checked_streams import checked_echo
from tests.hostile.conftest import NodePorts
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask
from tests.system.harness.eventually import eventually
from tests.system.harness.svcproxy import HEALTH_PORT, StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
STREAMS = 100


class UnreadPipe:
    """A pipe by name with room for a page, which the test alone may read."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self._reader, fcntl.F_SETPIPE_SZ, 4096)
        self._data = b""

    @property
    def as_standard_error(self) -> Sequence[str]:
        """For `under`: a command whose standard error it is."""
        return ("sh", "-c", f'exec "$@" 2>"{self.path}"', "sh")

    def lines(self) -> list[bytes]:
        """What was written so far, whole lines alone."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._data += os.read(self._reader, 65536)
        return self._data.splitlines(keepends=True)

    def close(self) -> None:
        os.close(self._reader)


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[UnreadPipe]:
    pipe = UnreadPipe(tmp_path / "pipe")
    yield pipe
    pipe.close()


def is_ready(proxy: Svcproxy) -> bool:
    try:
        return proxy.get("/readyz", HEALTH_PORT)[0] == 200
    except OSError:
        return False


def flows(pipe: UnreadPipe) -> list[object]:
    return [json.loads(line)["reason"] for line in pipe.lines() if b'"event":"flow"' in line]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_access_log_that_nobody_reads(
    svcproxy: StartSvcproxy,
    plain_echo_backends: StartBackends,
    node_ports: NodePorts,
    unread: UnreadPipe,
    workers: int,
) -> None:
    manifests, number = node_ports("web", *(backend.address for backend in plain_echo_backends("a", "b")))
    proxy = svcproxy(manifests, "--access-log", str(unread.path), configuration={"workers": workers})
    accounts = Accounts(proxy)
    carried = checked_echo(HERE, number, streams=STREAMS, size=20_000)
    accounts.settle(STREAMS, carried, carried)
    assert is_ready(proxy)
    eventually(lambda: len(flows(unread)) == STREAMS, "every line, once somebody reads")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_log_and_an_access_log_on_a_standard_error_that_nobody_reads(
    svcproxy: StartSvcproxy,
    plain_echo_backends: StartBackends,
    node_ports: NodePorts,
    unread: UnreadPipe,
    workers: int,
) -> None:
    manifests, number = node_ports("web", *(backend.address for backend in plain_echo_backends("a", "b")))
    proxy = svcproxy(
        manifests,
        "--access-log",
        "--log-level",
        "debug",
        configuration={"workers": workers},
        wait=False,
        under=unread.as_standard_error,
    )
    eventually(lambda: is_ready(proxy), "readiness")
    carried = checked_echo(HERE, number, streams=STREAMS, size=20_000)
    assert carried == STREAMS * 20_000
    assert is_ready(proxy)
    eventually(lambda: len(flows(unread)) == STREAMS, "every line, once somebody reads")
    lines = [json.loads(line) for line in unread.lines()]
    assert "serving" in {line["event"] for line in lines}


def test_the_end_does_not_wait_for_a_reader(
    svcproxy: StartSvcproxy, echo_backends: StartBackends, node_ports: NodePorts, unread: UnreadPipe
) -> None:
    (backend,) = echo_backends("a")
    manifests, number = node_ports("web", backend.address)
    proxy = svcproxy(manifests, "--access-log", wait=False, under=unread.as_standard_error)
    eventually(lambda: is_ready(proxy), "readiness")
    for _ in range(STREAMS):
        ask(HERE, number)
    assert proxy.stop(signal.SIGTERM) == 0
