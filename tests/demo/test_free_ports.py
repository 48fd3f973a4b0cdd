"""Ports for a demo beside whatever else runs."""

import socket

import msgspec

from proxy.demo.free_ports import can_bind, free_port, moved_pod_ports
from proxy.model.pod import Pod


def pod(address: str, *ports: int) -> Pod:
    container = {"name": "myapp", "ports": [{"containerPort": port} for port in ports]}
    document = {"metadata": {"name": "p"}, "spec": {"containers": [container]}, "status": {"podIP": address}}
    return msgspec.convert(document, Pod)


def test_a_port_that_is_taken_at_one_address_is_passed_over(address: str) -> None:
    with socket.create_server((address, 8080)):
        assert not can_bind("TCP", address, 8080)
        assert free_port(8080, [("TCP", address)]) == 8081


def test_the_usual_port_stays_where_it_is_free(address: str) -> None:
    assert free_port(8080, [("TCP", address), ("UDP", address)]) == 8080


def test_pods_move_together_and_only_from_what_is_taken(address: str) -> None:
    other = address.removesuffix(".1") + ".2"
    with socket.create_server((address, 8080)):
        assert moved_pod_ports([pod(address, 8080), pod(other, 8080, 6379)]) == {8080: 8081}
