"""The bar on a real terminal, while an API server keeps everybody waiting."""

import json
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

from tests.system.harness.places import Places
from tests.system.harness.process import PATIENCE
from tests.system.harness.svcproxy import environment_in


def kubeconfig(directory: Path, port: int) -> Path:
    file = directory / "kubeconfig"
    named = {"name": "it"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [named | {"cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [named | {"context": {"cluster": "it", "user": "it"}}],
        "users": [named | {"user": {"token": "a"}}],
    }
    file.write_text(json.dumps(content))
    return file


def test_a_person_at_a_terminal_sees_that_something_is_going_on(tmp_path: Path, places: Places) -> None:
    terminal, stderr = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = kubeconfig(tmp_path, silent.getsockname()[1])
        address = places.address()
        flags = ("--metrics-bind-address", f"{address}:10249", "--healthz-bind-address", f"{address}:10256")
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "run", "--kubeconfig", str(file), "--grace", "0s", *flags],
            cwd=tmp_path,
            env=environment_in(tmp_path),
            stderr=stderr,
        )
        os.close(stderr)
        try:
            seen = b""
            while b"received 0 objects: services 0, endpointslices" not in seen:
                seen += os.read(terminal, 4096)
            assert b"\r\x1b[K[" in seen
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
            os.close(terminal)
