"""Manifest files that no author writes: each is a problem of its own, and everything beside it is served."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
TEXTS = {
    "int.yaml": 'a: !!int ""',
    "float.yaml": 'a: !!float ""',
    "deep.yaml": "\n".join(" " * depth + f"a{depth}:" for depth in range(200)),
    "aliases.yaml": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "flow.json": "[" * 5000,
}


def write_all(directory: Path) -> None:
    for name, text in TEXTS.items():
        (directory / name).write_text(text)
    with open(directory / "sparse.yaml", "wb") as file:
        file.truncate(5 * 2**30)
    os.mkfifo(directory / "pipe.yaml")
    (directory / "loop.yaml").symlink_to("loop.yaml")
    Path(os.fsdecode(os.fsencode(directory) + b"/\xff.yaml")).write_text("x")


def test_nothing_in_a_directory_ends_the_proxy_or_keeps_a_service_from_its_clients(
    svcproxy: StartSvcproxy, echo_backends: StartBackends, places: Places
) -> None:
    (backend,) = echo_backends("a")
    number = places.node_port()
    proxy = svcproxy(
        [
            service("web", port(80, nodePort=number), type="NodePort"),
            endpoint_slice("web", [backend.address], {"port": backend.port}),
        ]
    )
    write_all(proxy.manifests.path)
    for name in (*TEXTS, "sparse.yaml", "pipe.yaml", "loop.yaml", "xff.yaml"):
        eventually(lambda name=name: name in proxy.get("/api/v1/problems")[1], f"a problem of {name}")  # type: ignore[misc]
    assert ask(HERE, number) == "a"
    later = places.node_port()
    proxy.manifests.put(
        service("later", port(80, nodePort=later), type="NodePort"),
        endpoint_slice("later", [backend.address], {"port": backend.port}),
    )
    proxy.wait_until_listening("TCP", "0.0.0.0", later)
    assert ask(HERE, later) == "a"


@pytest.mark.parametrize("name", [*TEXTS, "sparse.yaml", "pipe.yaml", "loop.yaml", "\\xff.yaml"])
def test_check_has_one_line_for_each(tmp_path: Path, name: str) -> None:
    write_all(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "check", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert len([line for line in done.stdout.splitlines() if name in line]) == 1
