"""What the kernel says about low ports, beside what it does."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.capture import unprivileged_ports
from proxy.capture.unprivileged_ports import USUAL_START, first_unprivileged_port

BIND = """
import socket, sys
for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as sock:
            try:
                sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", int(sys.argv[1])))
                print(0)
            except OSError as error:
                print(error.errno)
"""


def binds_without_privilege(port: int) -> set[int]:
    """The errors of a process that has all capabilities but this one; 0 for none."""
    command = ["setpriv", "--bounding-set=-net_bind_service", sys.executable, "-I", "-c", BIND, str(port)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
    return set(map(int, done.stdout.split()))


@pytest.mark.requires("ip", "setpriv")
@pytest.mark.parametrize("start", [80, 2000])
def test_it_is_the_namespaces_own_and_what_the_kernel_goes_by(
    unprivileged_from: Callable[[int], None], start: int
) -> None:
    assert first_unprivileged_port() == USUAL_START
    unprivileged_from(start)
    assert first_unprivileged_port() == start
    assert binds_without_privilege(start - 1) == {errno.EACCES}
    assert binds_without_privilege(start) == {0}


@pytest.mark.requires("ip")
def test_none_may_be_privileged(unprivileged_from: Callable[[int], None]) -> None:
    unprivileged_from(0)
    assert first_unprivileged_port() == 0


@pytest.mark.parametrize("text", [None, "", "many"])
def test_the_usual_bound_is_taken_where_the_kernel_says_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    monkeypatch.setattr(unprivileged_ports, "SYSCTL", tmp_path / "start")
    if text is not None:
        (tmp_path / "start").write_text(text)
    assert first_unprivileged_port() == USUAL_START
