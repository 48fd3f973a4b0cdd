"""Workers that are killed, and Services that change, while streams and datagrams pass: whole or reset, never wrong."""

import json
from contextlib import ExitStack
from functools import partial

import psutil

from tests.hostile.checked_datagrams import checked_datagrams
from tests.hostile.checked_services import SETTINGS, CheckedServices
from tests.hostile.checked_streams import CheckedStream, carry_or_reset
from tests.hostile.conftest import NodePorts
from tests.system.harness.eventually import eventually
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
ROUNDS = 4
STREAMS, SIZE = 8, 400_000


def has_restarted(proxy: Svcproxy, times: int) -> bool:
    """Whether all workers run, and so many were started anew."""
    reports = json.loads(proxy.get("/api/v1/workers")[1])["workers"]
    running = all(report["state"] == "running" for report in reports)
    return running and sum(report["restarts"] for report in reports) == times


def test_no_stream_brings_a_wrong_byte_or_ends_early_without_a_reset(
    svcproxy: StartSvcproxy, checked_services: CheckedServices, node_ports: NodePorts
) -> None:
    proxy = svcproxy(checked_services.manifests, configuration={**SETTINGS, "workers": 2})
    checked_services.begin(proxy)
    changing, _ = node_ports("changing", checked_services.backend)
    for number in range(ROUNDS):
        victim = proxy.workers()[number % 2]

        def kill_and_change(number: int = number, victim: psutil.Process = victim) -> None:
            victim.kill()
            change = proxy.manifests.put if number % 2 == 0 else proxy.manifests.remove
            change(*changing)

        with ExitStack() as stack:
            streams = [CheckedStream(HERE, checked_services.stream_port, SIZE, seed) for seed in range(STREAMS)]
            for stream in streams:
                stack.enter_context(stream.socket)
            carry_or_reset(streams, kill_and_change)
        # Some may be lost with a worker; none goes astray.
        checked_datagrams(HERE, checked_services.datagram_port, clients=4, each=3)
        eventually(partial(has_restarted, proxy, number + 1), "the successor")
    checked_services.use(HERE)
    eventually(lambda: "changing" not in proxy.get("/api/v1/services")[1], "the last change")
