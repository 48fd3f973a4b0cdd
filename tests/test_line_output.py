"""Lines to pipes, files and sockets: whole, in order, without ever waiting, and counted where they are lost."""

import fcntl
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.line_output import LineOutput, open_for_lines

LINE = b"x" * 999 + b"\n"
PIPE_SIZE = 4096
"""The smallest: one page."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def read_lines(reader: int, count: int) -> list[bytes]:
    data = b""
    while data.count(b"\n") < count:
        data += os.read(reader, 65536)
    return data.splitlines(keepends=True)


def failing(output: LineOutput) -> bool:
    return output.error is not None


def until_nothing_waits() -> None:
    for thread in threading.enumerate():
        if thread.name == "write lines":
            thread.join(20)
            assert not thread.is_alive()


def test_lines_reach_a_pipe_at_once_and_without_a_thread(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = LineOutput(writer)
    output.write([b"one\n", b"two\n"])
    assert os.read(reader, 100) == b"one\ntwo\n"
    assert "write lines" not in {thread.name for thread in threading.enumerate()}
    output.close()


def test_a_full_pipe_makes_nobody_wait_and_loses_nothing_below_the_bound(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = LineOutput(writer)
    lines = [b"%d %s" % (number, LINE) for number in range(100)]
    output.write(lines)
    output.write([b"last\n"])
    assert read_lines(reader, 101) == [*lines, b"last\n"]
    until_nothing_waits()
    assert (output.dropped, output.error) == (0, None)
    output.close()


def test_what_is_beyond_the_bound_is_dropped_and_counted_and_the_rest_is_whole(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = LineOutput(writer, most=20_000)
    output.write([LINE] * 100)
    assert output.error == "nobody reads it"
    assert 70 < output.dropped < 85
    kept = 100 - output.dropped
    assert read_lines(reader, kept) == [LINE] * kept
    until_nothing_waits()
    output.write([b"again\n"])
    assert not failing(output)
    assert read_lines(reader, 1) == [b"again\n"]
    output.close()


def test_a_line_longer_than_a_pipe_takes_arrives_whole(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = LineOutput(writer)
    long = b"y" * 50_000 + b"\n"
    output.write([long, LINE])
    assert read_lines(reader, 2) == [long, LINE]
    until_nothing_waits()
    output.close()


def test_others_who_have_the_pipe_wait_for_room_as_before(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    output = LineOutput(writer)
    assert os.get_blocking(writer)
    output.close()


def test_a_reader_that_is_gone_costs_the_lines(pipe: tuple[int, int]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    output = LineOutput(writer)
    output.write([LINE, LINE])
    assert (output.dropped, output.error) == (2, "Broken pipe")
    output.close()
    os.close(writer)


def test_the_end_waits_a_moment_for_a_reader_and_no_longer(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.line_output._LAST_WORDS", 0.01)
    _, writer = pipe
    output = LineOutput(writer)
    output.write([LINE] * 10)
    output.close()
    assert output.dropped > 0
    output.write([LINE])
    assert output.error == "nobody reads it"


def test_a_socket_that_nobody_reads_makes_nobody_wait() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        output = LineOutput(ours.fileno())
        lines = [b"%d %s" % (number, LINE) for number in range(900)]
        output.write(lines)
        assert read_lines(theirs.fileno(), 900) == lines
        until_nothing_waits()
        output.close()


def test_processes_that_share_a_file_write_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "log"
    outputs = [LineOutput(open_for_lines(str(file))) for _ in range(4)]

    def write(number: int) -> None:
        for _ in range(100):
            outputs[number].write([b"%d" % number * 99 + b"\n"] * 10)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until_nothing_waits()
    lines = file.read_bytes().splitlines()
    assert sorted(lines) == sorted(b"%d" % number * 99 for number in range(4) for _ in range(1000))
    for output in outputs:
        output.close()


def test_who_holds_the_lock_of_a_file_makes_nobody_wait(tmp_path: Path) -> None:
    file = tmp_path / "log"
    holder = os.open(file, os.O_WRONLY | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    output = LineOutput(open_for_lines(str(file)))
    output.write([LINE])
    output.write([b"later\n"])
    assert file.read_bytes() == b""
    os.close(holder)
    until_nothing_waits()
    assert file.read_bytes() == LINE + b"later\n"
    output.close()


@pytest.fixture
def largest_file() -> Iterator[int]:
    """A limit on the size of files, which a write meets as it meets a full disk: in part, then not at all."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_500, limits[1]))
    yield 10_500
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_costs_lines_and_tears_none(tmp_path: Path, largest_file: int) -> None:
    file = tmp_path / "log"
    output = LineOutput(open_for_lines(str(file)))
    for _ in range(15):
        output.write([LINE])
    assert file.read_bytes() == LINE * 10
    assert output.dropped == 5
    assert output.error in ("No space left on device", "File too large")
    os.truncate(file, 0)
    output.write([b"room again\n"])
    assert file.read_bytes() == b"room again\n"
    assert not failing(output)
    output.close()


def test_a_pipe_by_name_needs_no_reader(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    descriptor = open_for_lines(str(fifo))
    output = LineOutput(descriptor)
    output.write([LINE])
    assert os.read(descriptor, 2000) == LINE
    output.close()
    os.close(descriptor)
