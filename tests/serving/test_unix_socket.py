"""A Unix socket that takes nobody's place."""

import errno
import socket
from pathlib import Path

import pytest

from proxy.serving.unix_socket import listening_unix_socket


def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    listening_unix_socket(path).close()
    with listening_unix_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_one_that_is_in_use_and_any_other_file_are_left_alone(tmp_path: Path) -> None:
    path, file = str(tmp_path / "socket"), tmp_path / "file"
    file.write_text("mine")
    with listening_unix_socket(path):
        for taken in (path, str(file)):
            with pytest.raises(OSError, match="another") as caught:
                listening_unix_socket(taken)
            assert caught.value.errno == errno.EADDRINUSE
    assert file.read_text() == "mine"
