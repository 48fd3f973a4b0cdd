"""That test processes side by side have nothing in common."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.lane import alone, free_port, is_free, this_lane

IN_A_LANE = """
import sys
from tests.lane import this_lane
lane = this_lane()
print(lane.number, lane.network(), lane.wide_network(), lane.node_ports()[0], lane.port(), flush=True)
sys.stdin.readline()
"""
ALONE = """
import sys
from tests.lane import alone
with alone(sys.argv[1]):
    print("alone", flush=True)
    sys.stdin.readline()
"""

Python: TypeAlias = "subprocess.Popen[str]"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, script: str, *arguments: str) -> Python:
    """A program that stays until its standard input ends."""
    command = [sys.executable, "-c", script, *arguments]
    root = Path(__file__).parents[1]
    return stack.enter_context(
        subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )


def line_of(python: Python) -> str:
    assert python.stdout is not None
    return python.stdout.readline().rstrip("\n")


def test_no_two_processes_have_a_lane_a_network_or_a_port_in_common(stack: ExitStack) -> None:
    lane = this_lane()
    own = [str(each) for each in (lane.number, lane.network(), lane.wide_network(), lane.node_ports()[0], lane.port())]
    given = [own, *(line_of(other).split() for other in [start(stack, IN_A_LANE) for _ in range(3)])]
    assert [len(set(column)) for column in zip(*given, strict=True)] == [4] * 5
    assert len({network.rpartition(".")[0] for _, network, *_ in given}) == 4


def test_who_is_alone_keeps_the_others_out_until_it_is_done(stack: ExitStack) -> None:
    thing = f"the test of lanes in {os.getpid()}"
    other = start(stack, ALONE, thing)
    assert line_of(other) == "alone"
    with pytest.raises(AssertionError, match="does not let go of the test of lanes"), alone(thing, 0):
        raise AssertionError("two were alone")
    other.communicate()
    with alone(thing):
        pass


@pytest.mark.parametrize(
    ("kind", "address"), list(product((socket.SOCK_STREAM, socket.SOCK_DGRAM), ("127.0.0.1", "::1")))
)
def test_a_port_that_somebody_has_in_either_family_is_not_free(kind: socket.SocketKind, address: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as holder:
        port = free_port()
        if kind == socket.SOCK_STREAM:
            # Connections of earlier tests may still be in TIME_WAIT on the port.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((address, port))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        assert not is_free(port)
    assert is_free(port)


def test_ports_are_free_and_come_one_after_the_other() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) == 20
    assert all(is_free(port) for port in ports)
    assert not ports & set(this_lane().node_ports())
