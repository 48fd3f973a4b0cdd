"""The bar on a real terminal, while an API server keeps everybody waiting."""

import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.process import PATIENCE
from tests.system.harness.svcproxy import environment_in

OBJECTS: Mapping[str, Callable[[int], Manifest]] = MappingProxyType(
    {
        "services": lambda number: service(f"s{number}", port(80)),
        "endpointslices": lambda number: endpoint_slice(f"s{number}", ["10.0.0.1"], {"port": 80}),
    }
)


def kubeconfig(directory: Path, api_port: int) -> Path:
    file = directory / "kubeconfig"
    named = {"name": "it"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [named | {"cluster": {"server": f"http://127.0.0.1:{api_port}"}}],
        "contexts": [named | {"context": {"cluster": "it", "user": "it"}}],
        "users": [named | {"user": {"token": "a"}}],
    }
    file.write_text(json.dumps(content))
    return file


class SlowAPI:
    """An API server that tells so many objects of a list and keeps the rest to itself."""

    def __init__(self, **counts: int) -> None:
        self._over = threading.Event()
        over = self._over

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                plural = self.path.partition("?")[0].rpartition("/")[2]
                self.send_response(200)
                self.end_headers()
                for number in range(counts.get(plural, 0)):
                    told = OBJECTS[plural](number)
                    told = told | {"metadata": told["metadata"] | {"resourceVersion": str(number + 1)}}
                    self.wfile.write(json.dumps({"type": "ADDED", "object": told}).encode() + b"\n")
                over.wait()

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing: the test's output is for the test."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def seen_until(text: bytes, tmp_path: Path, places: Places, api_port: int) -> bytes:
    """What a terminal shows of a proxy that follows the API at `api_port`, until `text` is there and it is stopped."""
    terminal, stderr = pty.openpty()
    address = places.address()
    flags = ("--metrics-bind-address", f"{address}:10249", "--healthz-bind-address", f"{address}:10256")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "proxy",
            "run",
            "--kubeconfig",
            str(kubeconfig(tmp_path, api_port)),
            "--grace",
            "0s",
            *flags,
        ],
        cwd=tmp_path,
        env=environment_in(tmp_path),
        stderr=stderr,
    )
    os.close(stderr)
    try:
        seen = bytearray()

        def is_there() -> bool:
            if select.select([terminal], [], [], 0)[0]:
                seen.extend(os.read(terminal, 4096))
            return text in seen

        eventually(is_there, f"{text!r} on the terminal")
        process.terminate()
        assert process.wait(PATIENCE) == 0
        return bytes(seen)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_a_person_at_a_terminal_sees_that_something_is_going_on(tmp_path: Path, places: Places) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = b"received 0 objects: services 0, endpointslices"
        assert b"\r\x1b[K[" in seen_until(text, tmp_path, places, silent.getsockname()[1])


def test_the_bar_counts_what_has_come_of_lists_that_are_not_complete(tmp_path: Path, places: Places) -> None:
    api = SlowAPI(services=3, endpointslices=5)
    try:
        seen = seen_until(b"objects: services 3, endpointslices 5", tmp_path, places, api.port)
    finally:
        api.close()
    assert re.search(rb"\r\x1b\[K\[ *=+ *\] received 8 objects: services 3, endpointslices 5", seen)
