"""State that is damaged, full or not ours: one line, and what can be served is served."""

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import port, service
from tests.system.harness.places import Places
from tests.system.harness.standalone import Standalone
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

pytestmark = pytest.mark.requires("kubectl")
FULL = """
mount -t tmpfs -o size=1m,mode=700 state "$0" && cp -a "$0.seed/." "$0"
dd if=/dev/zero of="$0/fill" bs=4k 2>/dev/null
exec "$@"
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def standalone(tmp_path: Path, places: Places, svcproxy: StartSvcproxy) -> Standalone:
    return Standalone(tmp_path, places, svcproxy)


def filled(standalone: Standalone, state: Path) -> str:
    """The ClusterIP of a Service `web` that was made in a run that has ended."""
    proxy = standalone.start()
    kubectl = Kubectl(state.parent, standalone.kubeconfig)
    kubectl.apply(service("web", port(8000)))
    address: str = kubectl.read("svc", "web")["spec"]["clusterIP"]
    proxy.wait_until_listening("TCP", address, 8000)
    assert proxy.stop() == 0
    return address


def refused(svcproxy: StartSvcproxy, *flags: str) -> str:
    """The last line of a start that comes to nothing."""
    process = svcproxy((), *flags, wait=False)
    assert process.wait() == 2
    assert process.stderr[-1].startswith("svcproxy: "), process.stderr
    return process.stderr[-1]


def test_objects_are_served_from_the_last_good_copy(standalone: Standalone, state: Path) -> None:
    address = filled(standalone, state)
    with sqlite3.connect(state / "objects.sqlite") as connection:
        connection.execute("DROP TABLE counter")
    connection.close()
    (state / "token").write_bytes(b"\xff\xfe")
    proxy = standalone.start()
    proxy.wait_until_listening("TCP", address, 8000)
    (line,) = [line for line in proxy.stderr if "objects.sqlite: is damaged" in line]
    assert "the last good copy" in line
    assert Kubectl(state.parent, standalone.kubeconfig).read("svc", "web")["spec"]["clusterIP"] == address


def test_without_a_copy_nothing_is_served(standalone: Standalone, state: Path, svcproxy: StartSvcproxy) -> None:
    filled(standalone, state)
    (state / "objects.sqlite.copy").unlink()
    (state / "objects.sqlite").write_bytes(b"")
    line = refused(svcproxy, "--standalone", f"--api-bind-address={standalone.address}:6443")
    assert "objects.sqlite: is damaged (it has 0 bytes): restore it from a backup, or move it away" in line


def test_a_full_disk_keeps_nothing_from_being_served(
    standalone: Standalone, state: Path, svcproxy: StartSvcproxy
) -> None:
    if os.geteuid() != 0:
        pytest.skip("not permitted: mount")
    address = filled(standalone, state)
    state.rename(f"{state}.seed")
    state.mkdir(mode=0o700)
    under = ("unshare", "--mount", "sh", "-c", FULL, str(state))
    flags = ("--standalone", f"--api-bind-address={standalone.address}:6443")
    proxy: Svcproxy = svcproxy((), *flags, under=under)
    proxy.wait_until_listening("TCP", address, 8000)
    proxy.send(signal.SIGTERM)
    assert proxy.wait() == 0


def test_a_state_directory_that_others_may_write_in_is_refused(svcproxy: StartSvcproxy, state: Path) -> None:
    state.mkdir(mode=0o700)
    (state / "kubeconfig.new").symlink_to("/etc/hostname")
    assert refused(svcproxy).endswith(f"rm {state}/kubeconfig.new")
    (state / "kubeconfig.new").unlink()
    state.chmod(0o777)
    assert "can be written by others (mode 0777): chmod go-w" in refused(svcproxy)
