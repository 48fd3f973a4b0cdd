"""The order of things: servers first, then the proxy, then the words; and an end that cleans up."""

import io
import socket
from pathlib import Path

import pytest

from proxy.demo.demo import OnListening, demonstrate
from proxy.demo.places import Places
from proxy.demo.port_check import PortUnavailableError

MANIFESTS = """
kind: Pod
apiVersion: v1
metadata: {name: echo-pod}
spec: {containers: [{name: echo, ports: [{containerPort: 8080}]}]}
status: {podIP: ADDRESS}
---
kind: Service
apiVersion: v1
metadata: {name: web}
spec: {type: NodePort, ports: [{port: 80, nodePort: NODE_PORT}]}
"""


def write_manifests(directory: Path, address: str, node_port: int = 0) -> None:
    text = MANIFESTS.replace("ADDRESS", address).replace("NODE_PORT", str(node_port))
    (directory / "all.yaml").write_text(text)


async def test_the_servers_run_for_as_long_as_the_proxy_and_then_end(tmp_path: Path, address: str) -> None:
    write_manifests(tmp_path, address)
    output = io.StringIO()

    async def run_proxy(on_listening: OnListening) -> int:
        socket.create_connection((address, 8080)).close()
        assert output.getvalue() == ""
        on_listening([], [], "http://127.0.0.1:1/", ())
        assert str(tmp_path) in output.getvalue()
        return 7

    assert await demonstrate(Places(tmp_path, tmp_path / "kubeconfig", "svcproxy"), output, run_proxy) == 7
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 8080))


async def test_a_taken_node_port_keeps_the_proxy_from_starting(tmp_path: Path, address: str) -> None:
    async def run_proxy(_: OnListening) -> int:
        raise AssertionError("the proxy was started")

    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        write_manifests(tmp_path, address, port)
        with pytest.raises(PortUnavailableError, match=rf"0\.0\.0\.0:{port}/TCP.*--node-port"):
            await demonstrate(Places(tmp_path, tmp_path / "kubeconfig", "svcproxy"), io.StringIO(), run_proxy)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 8080))
