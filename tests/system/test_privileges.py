"""What the processes may do: workers next to nothing, the control process what its configuration needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.privileges import Capability, held, user_of
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask
from tests.system.harness.manifests import endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has anything to let go of")
HERE = "127.0.0.1"


def status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(f"{name}:"))


@needs_root
@pytest.mark.parametrize(("capture", "kept"), [("bind", set()), ("auto", {Capability.NET_BIND_SERVICE})])
def test_workers_are_nobody_and_still_replaced(
    svcproxy: StartSvcproxy, echo_backends: StartBackends, places: Places, capture: str, kept: set[Capability]
) -> None:
    (backend,) = echo_backends("a")
    number, address = places.node_port(), places.cluster_ip()
    manifests = [
        service("web", port(80, nodePort=number), type="NodePort", clusterIP=address),
        endpoint_slice("web", [backend.address], {"port": backend.port}),
    ]
    proxy = svcproxy(manifests, configuration={"capture": capture})
    for _ in range(2):
        (worker,) = proxy.workers()
        assert ask(HERE, number) == ask(address, 80) == "a"
        assert user_of(worker.pid) == "nobody"
        assert held(worker.pid) == kept
        assert status(worker.pid, "NoNewPrivs") == "1"
        assert status(worker.pid, "Groups") == ""
        worker.kill()
        proxy.wait_for_event("worker started")
    assert proxy.stop() == 0


@needs_root
def test_the_control_process_keeps_what_it_needs_and_says_so(svcproxy: StartSvcproxy) -> None:
    proxy = svcproxy(configuration={"capture": "bind"})
    kept = held(proxy.pid)
    assert Capability.NET_BIND_SERVICE in kept
    assert not {Capability.SYS_ADMIN, Capability.BPF, Capability.DAC_OVERRIDE} & kept
    assert status(proxy.pid, "NoNewPrivs") == "1"
    assert "net_bind_service" in str(proxy.wait_for_event("capabilities kept")["capabilities"])


@needs_root
def test_an_ordinary_user_is_left_as_they_are(tmp_path: Path) -> None:
    script = "from proxy.privileges import *; restrict([], 'daemon'); print(held(), user_of(__import__('os').getpid()))"
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=20,
        cwd=Path(__file__).parents[2],
    )
    if "Permission denied" in done.stderr:
        pytest.skip("an ordinary user cannot read this checkout")
    assert done.stdout.strip() == "frozenset() nobody"
