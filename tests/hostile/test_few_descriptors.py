"""A tight RLIMIT_NOFILE: those who find no descriptor wait their turn, and are served whole."""

import json
import os
import pwd
from contextlib import ExitStack

import psutil

from tests.hostile.accounts import Accounts
from tests.hostile.checked_services import SETTINGS, CheckedServices
from tests.hostile.checked_streams import checked_echo
from tests.hostile.conftest import FewFiles, NodePorts
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask, connect
from tests.system.harness.eventually import eventually
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"


def test_more_streams_than_descriptors_arrive_whole(
    svcproxy: StartSvcproxy, plain_echo_backends: StartBackends, node_ports: NodePorts, few_files: FewFiles
) -> None:
    manifests, number = node_ports("web", *(backend.address for backend in plain_echo_backends("a", "b")))
    proxy = svcproxy(manifests, under=few_files(64))
    accounts = Accounts(proxy)
    carried = checked_echo(HERE, number, streams=60, size=20_000)
    accounts.settle(60, carried, carried)


def test_services_that_come_when_a_worker_has_no_descriptor_left_are_served_by_its_successor(
    svcproxy: StartSvcproxy, checked_services: CheckedServices, node_ports: NodePorts
) -> None:
    """EMFILE in recvmsg: the sockets that came with the message are lost, so the worker cannot know what it should."""
    # Limits are set by a process of the same user, or by one that may do more than root in a container.
    user = pwd.getpwuid(os.geteuid()).pw_name
    proxy = svcproxy(checked_services.manifests, configuration={**SETTINGS, "workers": 2, "workerUser": user})
    checked_services.begin(proxy)
    checked_services.use(HERE)
    checked_services.settle()
    worker, other = proxy.workers()
    _, hard = worker.rlimit(psutil.RLIMIT_NOFILE)
    worker.rlimit(psutil.RLIMIT_NOFILE, (worker.num_fds(), hard))
    manifests, number = node_ports("more", checked_services.backend)
    proxy.manifests.put(*manifests)
    proxy.wait_for_event("worker started", worker=0)
    proxy.services()
    for _ in range(5):
        assert checked_echo(HERE, number, streams=8, size=2000) == 16_000
    assert other.is_running()
    checked_services.use(HERE)


def test_connections_leave_descriptors_for_new_services(
    svcproxy: StartSvcproxy, echo_backends: StartBackends, node_ports: NodePorts, few_files: FewFiles
) -> None:
    (backend,) = echo_backends("a")
    manifests, number = node_ports("web", backend.address)
    proxy = svcproxy(manifests, under=few_files(96))
    (report,) = json.loads(proxy.get("/api/v1/workers")[1])["workers"]
    others = [node_ports(f"other-{each}", backend.address) for each in range(12)]
    with ExitStack() as stack:
        for _ in range((report["descriptorCapacity"] - report["descriptors"]) // 2):
            stack.enter_context(connect(HERE, number))
        proxy.manifests.put(*(manifest for more, _ in others for manifest in more))
        eventually(lambda: "other-11" in proxy.get("/api/v1/services")[1], "the new Services")
    proxy.services()
    for _, other in others:
        assert ask(HERE, other) == "a"
    (report,) = json.loads(proxy.get("/api/v1/workers")[1])["workers"]
    assert report["restarts"] == 0
