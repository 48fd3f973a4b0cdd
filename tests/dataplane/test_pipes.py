"""The pool of pipes: bounded, reused while empty, and never at the cost of connections."""

import fcntl
import os

import pytest

from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.pipes import Pipe, Pipes


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def lent(pipes: Pipes) -> Pipe:
    pipe = pipes.lend()
    assert pipe is not None
    return pipe


def test_an_empty_pipe_is_lent_again() -> None:
    descriptors = Descriptors(100)
    pipes = Pipes(descriptors)
    pipe = lent(pipes)
    pipes.give_back(pipe, empty=True)
    assert lent(pipes) == pipe
    assert descriptors.free == 98
    pipes.give_back(pipe, empty=True)
    pipes.close()
    assert descriptors.free == 100


def test_a_pipe_that_may_hold_bytes_is_closed() -> None:
    descriptors = Descriptors(100)
    pipes = Pipes(descriptors)
    pipe = lent(pipes)
    pipes.give_back(pipe, empty=False)
    assert not is_open(pipe.reader)
    assert not is_open(pipe.writer)
    assert descriptors.free == 100


def test_a_pipe_does_not_block_and_is_as_large_as_it_says() -> None:
    pipes = Pipes(Descriptors(100))
    pipe = lent(pipes)
    assert fcntl.fcntl(pipe.writer, fcntl.F_GETPIPE_SZ) == pipe.size
    with pytest.raises(BlockingIOError):
        os.read(pipe.reader, 1)
    pipes.give_back(pipe, empty=True)
    pipes.close()


def test_there_are_never_more_than_the_bound() -> None:
    descriptors = Descriptors(100)
    pipes = Pipes(descriptors, most=2)
    two = [lent(pipes), lent(pipes)]
    assert pipes.lend() is None
    pipes.give_back(two[0], empty=False)
    two[0] = lent(pipes)
    for pipe in two:
        pipes.give_back(pipe, empty=True)
    pipes.close()
    assert descriptors.free == 100


def test_the_last_quarter_of_the_budget_is_for_connections() -> None:
    descriptors = Descriptors(8)
    pipes = Pipes(descriptors)
    descriptors.take(7)
    assert pipes.lend() is None
    descriptors.give(1)
    pipe = lent(pipes)
    assert descriptors.free == 0
    pipes.give_back(pipe, empty=False)


def test_no_pipe_is_lent_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(flags: int) -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    descriptors = Descriptors(100)
    pipes = Pipes(descriptors)
    monkeypatch.setattr(os, "pipe2", refuse)
    assert pipes.lend() is None
    assert descriptors.free == 100


def test_a_user_over_the_limit_for_pipes_gets_a_smaller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.fcntl

    def limited(descriptor: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETPIPE_SZ:
            raise PermissionError
        return real(descriptor, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", limited)
    pipes = Pipes(Descriptors(100))
    pipe = lent(pipes)
    assert pipe.size == real(pipe.writer, fcntl.F_GETPIPE_SZ) < 1024 * 1024
    pipes.give_back(pipe, empty=False)


def test_only_so_many_idle_pipes_are_kept() -> None:
    descriptors = Descriptors(1000)
    pipes = Pipes(descriptors)
    many = [lent(pipes) for _ in range(40)]
    for pipe in many:
        pipes.give_back(pipe, empty=True)
    assert descriptors.free == 1000 - 2 * 32
    pipes.close()
    assert descriptors.free == 1000
