"""A node port that another program has is refused before the proxy starts."""

import errno
import os
import socket
from typing import Any

import msgspec
import pytest

from proxy.demo.port_check import check_node_ports, unavailable
from proxy.model.service import Service
from tests.lane import free_port


def service(*ports: dict[str, Any]) -> Service:
    return msgspec.convert({"metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": ports}}, Service)


@pytest.mark.parametrize(("protocol", "kind"), [("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)])
@pytest.mark.parametrize("reuse_port", [False, True])
def test_a_taken_node_port_is_named_with_its_holder_and_the_way_round(
    protocol: str, kind: socket.SocketKind, reuse_port: bool
) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(reuse_port))
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Exception, match=rf"^port 0\.0\.0\.0:{port}/{protocol} is taken by .*") as caught:
            check_node_ports([service({"port": 80, "protocol": protocol, "nodePort": port})], "take another")
    text = str(caught.value)
    assert f"(pid {os.getpid()})" in text
    assert text.endswith(": stop what has it, or take another")
    assert "\n" not in text


def test_a_free_port_passes_and_is_free_afterwards() -> None:
    port = free_port()
    services = [
        service({"port": 80, "nodePort": port}, {"port": 81, "protocol": "UDP", "nodePort": port}, {"port": 82})
    ]
    check_node_ports(services, "take another")
    check_node_ports(services, "take another")


def test_another_error_says_what_it_is() -> None:
    error = PermissionError(errno.EACCES, "Permission denied")
    assert str(unavailable("TCP", "127.0.0.1", 80, error, "take another")) == (
        "port 127.0.0.1:80/TCP cannot be opened (Permission denied): take another"
    )
