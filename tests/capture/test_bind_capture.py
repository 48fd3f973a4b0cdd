"""Binding stops short of the last descriptor."""

import os

import pytest

from proxy.capture.bind_capture import BindCapture
from proxy.plan.frontend import FrontendKey

ANY_PORT = FrontendKey("TCP", "127.0.0.1", 0)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_frontend_has_a_socket_a_worker() -> None:
    key = FrontendKey("UDP", "127.0.0.1", 0)
    group = BindCapture(1, 10_000).open(key, shared=False, routed=False)
    assert len(group.sockets) == 1
    group.close()


def test_a_frontend_for_which_no_descriptor_is_to_be_had_leaves_none_open() -> None:
    before = open_descriptors()
    with pytest.raises(OSError, match="Too many open files"):
        BindCapture(1, 1).open(ANY_PORT, shared=False, routed=False)
    assert open_descriptors() == before
