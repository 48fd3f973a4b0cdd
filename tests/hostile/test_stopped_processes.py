"""Processes that are stopped for a while: workers are replaced, nobody is blamed in vain, streams stay whole."""

import json
import signal
import time
from typing import Any

import psutil

from tests.hostile.checked_streams import checked_echo
from tests.hostile.conftest import NodePorts
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask
from tests.system.harness.eventually import eventually
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
STOPPED = 5.0
"""Seconds; five times the workers' timeout of the same test."""


def worker_reports(proxy: Svcproxy) -> list[dict[str, Any]]:
    """What the proxy says of each of its workers."""
    reports: list[dict[str, Any]] = json.loads(proxy.get("/api/v1/workers")[1])["workers"]
    return reports


def restarts(proxy: Svcproxy) -> list[int]:
    """Of each worker."""
    return [report["restarts"] for report in worker_reports(proxy)]


def test_a_stopped_worker_is_replaced_and_everything_answers_meanwhile(
    svcproxy: StartSvcproxy, echo_backends: StartBackends, node_ports: NodePorts
) -> None:
    (backend,) = echo_backends("a")
    manifests, number = node_ports("web", backend.address)
    proxy = svcproxy(manifests, configuration={"workers": 2, "workerTimeout": "1s"})
    stopped = proxy.workers()[0]
    stopped.suspend()
    for path in (
        "/api/v1/connections",
        f"/api/v1/explain?protocol=TCP&address={HERE}&port={number}",
        "/api/v1/services",
        "/metrics",
    ):
        assert proxy.get(path)[0] == 200
    more, other = node_ports("other", backend.address)
    proxy.manifests.put(*more)
    proxy.wait_for_event("worker gives no sign of life, and is ended", pid=stopped.pid)
    eventually(lambda: restarts(proxy) == [1, 0], "the successor")
    eventually(lambda: "other" in proxy.get("/api/v1/services")[1], "the change")
    proxy.services()
    for _ in range(20):
        assert ask(HERE, number) == ask(HERE, other) == "a"
    assert not stopped.is_running()


def test_a_stopped_control_process_blames_no_worker(
    svcproxy: StartSvcproxy, plain_echo_backends: StartBackends, node_ports: NodePorts
) -> None:
    (backend,) = plain_echo_backends("a")
    manifests, number = node_ports("web", backend.address)
    proxy = svcproxy(manifests, configuration={"workers": 2, "workerTimeout": "1s"})
    before = [worker.pid for worker in proxy.workers()]
    proxy.send(signal.SIGSTOP)
    ends = time.monotonic() + STOPPED
    while time.monotonic() < ends:
        assert checked_echo(HERE, number, streams=5, size=20_000) == 5 * 20_000
    more, other = node_ports("other", backend.address)
    proxy.manifests.put(*more)
    proxy.send(signal.SIGCONT)
    eventually(lambda: "other" in proxy.get("/api/v1/services")[1], "the change")
    assert checked_echo(HERE, other, streams=5, size=20_000) == 5 * 20_000
    assert [worker.pid for worker in proxy.workers()] == before
    assert restarts(proxy) == [0, 0]


def test_no_worker_outlives_a_control_process_that_is_killed(
    svcproxy: StartSvcproxy, echo_backends: StartBackends, node_ports: NodePorts
) -> None:
    (backend,) = echo_backends("a")
    manifests, _ = node_ports("web", backend.address)
    proxy = svcproxy(manifests, configuration={"workers": 2})
    workers = proxy.workers()
    workers[0].suspend()
    proxy.send(signal.SIGKILL)
    assert proxy.wait() == -signal.SIGKILL
    eventually(lambda: not any(map(is_alive, workers)), "the end of the workers")


def is_alive(process: psutil.Process) -> bool:
    """Nobody may be there to reap it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
