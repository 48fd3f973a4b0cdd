"""Drops by cause: against a model, and as the kernel counts them at real sockets."""

import socket
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.capture.drop_meter import DropCause, DropMeter, cause_of, drops_of
from proxy.capture.gate import Gate
from proxy.capture.source_filter import admit_only, attach, detach
from proxy.plan.frontend import Frontend, FrontendKey
from tests.system.harness.eventually import eventually

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
ELSEWHERE = ("192.0.2.0/24", "2001:db8::/32")


@pytest.mark.parametrize(
    ("gate", "ranges", "cause"),
    [
        (Gate.OPEN, (), None),
        (Gate.REFUSED, (), None),
        (Gate.OPEN, ELSEWHERE, DropCause.SOURCE_RANGES),
        (Gate.REFUSED, ELSEWHERE, DropCause.SOURCE_RANGES),
        (Gate.DROPPED, (), DropCause.NO_LOCAL_ENDPOINTS),
        (Gate.DROPPED, ELSEWHERE, DropCause.NO_LOCAL_ENDPOINTS),
    ],
)
def test_there_is_one_cause_at_a_time(gate: Gate, ranges: tuple[str, ...], cause: DropCause | None) -> None:
    frontend = Frontend(FrontendKey("TCP", "127.0.0.1", 80), "web", "default/web", "LoadBalancer", "drop", ranges)
    assert cause_of(frontend, gate) is cause


STEPS = st.one_of(st.integers(0, 2**30), st.sampled_from([None, *DropCause]), st.just("take"))


@given(st.integers(0, 2**32 - 1), st.lists(STEPS))
def test_every_packet_is_counted_once_for_the_reason_that_was_in_force(start: int, steps: list[object]) -> None:
    """A number drops so many, a cause is put in force, "take" takes."""
    total, cause = start, None
    expected: Counter[DropCause] = Counter()
    taken: Counter[DropCause] = Counter()
    meter = DropMeter(lambda: total % 2**32)
    # What was there before counts for nobody; a socket begins at 0.
    meter.attribute(DropCause.SOURCE_RANGES)
    meter.attribute(None)
    meter.take()
    for step in steps:
        if isinstance(step, int):
            total += step
            if cause is not None:
                expected[cause] += step
        elif step == "take":
            taken += meter.take()
        else:
            assert step is None or isinstance(step, DropCause)
            # As the sockets do, whose number is looked at whenever anything changes and at every scrape.
            taken += meter.take()
            meter.attribute(step)
            cause = step
    taken += meter.take()
    assert taken == +expected


def test_a_socket_that_is_gone_takes_nothing_back() -> None:
    number = 500
    meter = DropMeter(lambda: number)
    meter.attribute(DropCause.SOURCE_RANGES)
    number = 700
    assert meter.take() == {DropCause.SOURCE_RANGES: 200}
    number = 0
    assert meter.take() == {}


def until_dropped(served: socket.socket, number: int) -> None:
    eventually(lambda: drops_of([served]) == number, f"{number} packets")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["TCP", "UDP"])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_the_kernel_counts_what_a_filter_keeps_out(family: socket.AddressFamily, kind: socket.SocketKind) -> None:
    with socket.socket(family, kind) as served:
        served.bind((LOOPBACK[family], 0))
        attach(served, admit_only(ELSEWHERE, family))
        if kind is socket.SOCK_STREAM:
            served.listen()
        for number in range(3):
            until_dropped(served, number)
            with socket.socket(family, kind) as client:
                client.setblocking(False)
                client.connect_ex(served.getsockname())
                if kind is socket.SOCK_DGRAM:
                    client.send(b"nobody hears this")
        until_dropped(served, 3)
        detach(served)
        with served.dup() as copy:
            assert drops_of([served, copy]) == 6


def test_a_closed_socket_has_no_drops() -> None:
    sock = socket.socket()
    sock.close()
    assert drops_of([sock]) == 0
