"""The access log under logrotate, by the example in config/: each connection has one whole line in one of the files."""

import json
import subprocess
from functools import partial
from pathlib import Path

import pytest

import proxy
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

EXAMPLE = Path(proxy.__file__).parents[1] / "config" / "logrotate" / "svcproxy"
IN_EXAMPLE = "/var/log/svcproxy/access.log"
SIGNAL_IN_EXAMPLE = "systemctl kill --kill-whom=main --signal=HUP svcproxy.service"
ROTATIONS = 3
CONNECTIONS = 20


def example_for(process: Svcproxy, log: Path) -> str:
    """The example, with this test's file and process."""
    text = EXAMPLE.read_text()
    assert text.count(IN_EXAMPLE) == 2
    assert text.count(SIGNAL_IN_EXAMPLE) == 1
    return text.replace(IN_EXAMPLE, str(log)).replace(SIGNAL_IN_EXAMPLE, f"kill -HUP {process.pid}")


def rotate(configuration: Path, state: Path) -> None:
    subprocess.run(["logrotate", "--force", "--state", str(state), str(configuration)], check=True, timeout=20)


def has_reread(process: Svcproxy, times: int) -> bool:
    return len(process.events("configuration reread")) == times


def clients_in(file: Path) -> list[str]:
    return [json.loads(line)["client"] for line in file.read_text().splitlines()]


@pytest.mark.requires("logrotate")
@pytest.mark.parametrize("workers", [0, 2])
def test_no_line_is_lost_or_torn_while_files_are_rotated(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, tmp_path: Path, workers: int
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    log, configuration = tmp_path / "logs" / "access.log", tmp_path / "logrotate.conf"
    log.parent.mkdir()
    manifests = [web, endpoint_slice("web", [a.address], {"port": a.port})]
    process = svcproxy(manifests, "--access-log", str(log), configuration={"workers": workers})
    configuration.write_text(example_for(process, log))
    for rotation in range(1, ROTATIONS + 1):
        for _ in range(CONNECTIONS):
            assert ask("127.0.0.1", node_port) == "a"
        eventually(lambda: log.exists() and len(clients_in(log)) == CONNECTIONS, f"the lines of part {rotation}")
        rotate(configuration, tmp_path / "rotations")
        eventually(log.exists, f"the file of part {rotation + 1}")
        eventually(partial(has_reread, process, rotation), "the end of the reread")
    assert ask("127.0.0.1", node_port) == "a"
    eventually(lambda: len(clients_in(log)) == 1, "the last line")
    assert process.stop() == 0
    # The first of them are compressed by now.
    assert len(clients_in(log.with_name("access.log.1"))) == CONNECTIONS
    assert len(list(log.parent.iterdir())) == ROTATIONS + 1
