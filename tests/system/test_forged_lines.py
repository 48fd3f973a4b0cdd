"""Names and texts of manifests that would move a cursor or forge a line: every command and log shows them as text."""

import io
from pathlib import Path

import pytest

from proxy.cli import main
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import annotated, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import METRICS_PORT, StartSvcproxy, environment_in

FORGED = "p\x1b[2J\nforged\u202e\x9b31m"
SHOWN = "p\\x1b[2J\\nforged\\u202e\\x9b31m"
COMMANDS = (
    ("get", "endpoints"),
    ("describe", "service", "web"),
    ("explain", "service", "web"),
    ("top", "--once", "web"),
)


@pytest.mark.parametrize("log_format", ["human", "json"])
def test_a_pod_s_name_moves_no_cursor_and_forges_no_line(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, tmp_path: Path, log_format: str
) -> None:
    (backend,) = echo_backends("a")
    web = annotated(service("web", port(80), clusterIP=places.cluster_ip()), scheduler=FORGED)
    slices = endpoint_slice("web", [backend.address], {"port": backend.port})
    slices["endpoints"][0]["targetRef"] = {"kind": "Pod", "name": FORGED}
    log = tmp_path / "access.log"
    proxy = svcproxy([web, slices], "--access-log", str(log), configuration={"logFormat": log_format}, wait=False)
    proxy.wait_for("serving services=" if log_format == "human" else '"event": "serving", "services"')
    assert ask(web["spec"]["clusterIP"], 80) == "a"
    for arguments in COMMANDS:
        output, errors = io.StringIO(), io.StringIO()
        server = ("--server", f"{proxy.status_address}:{METRICS_PORT}")
        main([*arguments, *server], output, errors, environment_in(tmp_path))
        assert all(line.isprintable() for line in output.getvalue().split("\n")), (arguments, output.getvalue())
        assert errors.getvalue() == ""
        assert SHOWN in output.getvalue(), arguments
    eventually(lambda: log.read_text() if log.exists() else "", "a line of the access log")
    lines = log.read_text().splitlines()
    assert len(lines) == 1
    assert "\x1b" not in lines[0]
    assert not any("\x1b" in line or line.startswith("forged") for line in proxy.stderr)
