"""The closed list of close reasons, and the translation of OSError into it."""

import errno
import re
import socket

import pytest

from proxy.dataplane.close_reason import CloseReason, Side, reason_of
from tests.lane import free_port

LABELS = [
    "client_closed",
    "backend_closed",
    "client_reset",
    "backend_reset",
    "client_timed_out",
    "backend_timed_out",
    "connect_refused",
    "connect_timeout",
    "connect_unreachable",
    "no_endpoints",
    "idle_timeout",
    "endpoint_removed",
    "frontend_removed",
    "flow_evicted",
    "descriptor_limit",
    "drain_deadline",
    "shutdown",
    "kernel_closed",
    "error",
]


def test_the_list_is_closed() -> None:
    assert [str(reason) for reason in CloseReason] == LABELS


@pytest.mark.parametrize("reason", CloseReason)
def test_a_reason_is_its_own_label(reason: CloseReason) -> None:
    assert str(reason) == f"{reason}" == reason.value == reason.name.lower()


@pytest.mark.parametrize("reason", CloseReason)
def test_every_reason_advises_in_one_sentence(reason: CloseReason) -> None:
    assert re.fullmatch(r"[A-Z][^\n]{20,}\.", reason.advice)


def test_no_two_reasons_give_the_same_advice() -> None:
    assert len({reason.advice for reason in CloseReason}) == len(LABELS)


@pytest.mark.parametrize(
    ("number", "client", "backend", "connect"),
    [
        (errno.ECONNRESET, "client_reset", "backend_reset", "backend_reset"),
        (errno.ECONNABORTED, "client_reset", "backend_reset", "backend_reset"),
        (errno.EPIPE, "client_reset", "backend_reset", "backend_reset"),
        (errno.ENOTCONN, "client_reset", "backend_reset", "backend_reset"),
        (errno.ECONNREFUSED, "client_reset", "connect_refused", "connect_refused"),
        (errno.ETIMEDOUT, "client_timed_out", "backend_timed_out", "connect_timeout"),
        (errno.EHOSTUNREACH, "client_timed_out", "backend_timed_out", "connect_unreachable"),
        (errno.ENETUNREACH, "client_timed_out", "backend_timed_out", "connect_unreachable"),
        (errno.EHOSTDOWN, "client_timed_out", "backend_timed_out", "connect_unreachable"),
        (errno.ENETDOWN, "client_timed_out", "backend_timed_out", "connect_unreachable"),
        (errno.EACCES, "error", "error", "connect_unreachable"),
        (errno.EPERM, "error", "error", "connect_unreachable"),
        (errno.EADDRNOTAVAIL, "error", "error", "connect_unreachable"),
        (errno.EMFILE, "descriptor_limit", "descriptor_limit", "descriptor_limit"),
        (errno.ENFILE, "descriptor_limit", "descriptor_limit", "descriptor_limit"),
        (errno.ENOBUFS, "error", "error", "error"),
        (errno.EBADF, "error", "error", "error"),
    ],
)
def test_an_error_is_named_by_its_number_and_side(number: int, client: str, backend: str, connect: str) -> None:
    error = OSError(number, "text is not looked at")
    assert [reason_of(error, side) for side in Side] == [client, backend, connect]


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_errno_has_a_reason(number: int, side: Side) -> None:
    assert reason_of(OSError(number, "x"), side) in CloseReason


@pytest.mark.parametrize("side", Side)
def test_an_error_without_a_number_is_an_error(side: Side) -> None:
    assert reason_of(TimeoutError(), side) is CloseReason.ERROR


def test_a_real_refusal_is_connect_refused() -> None:
    with socket.socket() as unheard, socket.socket() as client:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError) as caught:
            client.connect(unheard.getsockname())
    assert reason_of(caught.value, Side.CONNECT) is CloseReason.CONNECT_REFUSED


def test_a_real_refusal_of_a_datagram_is_connect_refused() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as upstream:
        upstream.connect(("127.0.0.1", free_port()))
        upstream.send(b"anyone?")
        with pytest.raises(ConnectionRefusedError) as caught:
            upstream.recv(10)
    assert reason_of(caught.value, Side.BACKEND) is CloseReason.CONNECT_REFUSED
