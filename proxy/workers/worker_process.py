"""One place among the workers, and the process that holds it now.

Invariant: a process that is replaced is ended first, whatever state it is in, so no place is ever held by two.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from proxy.workers.worker_channel import WorkerChannel

START_PATIENCE = 30.0
"""Seconds that a worker may take from its start to its first word."""
LAST_WORDS = 1.0
"""Seconds that a process may take to end once it has closed its channel, or lost it."""

_PACKAGE_PARENT = str(Path(__file__).parents[2])


class WorkerProcess:
    """The place `index`. `restarts` counts the processes that held it after the first; `pause` is how many seconds the
    present one had to wait for its start, at `started` (monotonic)."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.channel: WorkerChannel | None = None
        self.started = 0.0
        self.pause = 0.0
        self.restarts = 0
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the present process, or of the last one; 0 before the first."""
        return self._popen.pid if self._popen is not None else 0

    @property
    def state(self) -> str:
        """As WorkerReport has it."""
        if self.channel is None or self.channel.ended:
            return "ended"
        return "running" if self.channel.ready.is_set() else "starting"

    def spawn(self) -> WorkerChannel:
        """Start a process; gives the channel to it. Raises OSError."""
        self.started = monotonic()
        ours, theirs = socket.socketpair()
        try:
            with theirs, _signals_blocked():
                self._popen = _popen(self.index, theirs)
        except OSError:
            ours.close()
            raise
        self.channel = WorkerChannel(ours)
        return self.channel

    async def ready(self) -> bool:
        """Wait for the worker's first word, and end a worker that does not say it; gives whether it runs."""
        channel = self.channel
        assert channel is not None
        try:
            async with asyncio.timeout(START_PATIENCE):
                await channel.ready.wait()
        except TimeoutError:
            self.kill()
        return not channel.ended

    def kill(self) -> None:
        """End the process at once, also one that is stopped."""
        if self._popen is not None:
            self._popen.kill()
        if self.channel is not None:
            self.channel.close()

    async def end(self, patience: float = LAST_WORDS) -> int:
        """Let go of the channel, and wait for the end of the process, which is killed after so many seconds; gives its
        exit status, below zero for a signal."""
        if self.channel is not None:
            self.channel.close()
        return await asyncio.to_thread(_reap, self._popen, patience)


def in_words(status: int) -> str:
    """How a process ended, by its exit status."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _popen(index: int, channel: socket.socket) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (_PACKAGE_PARENT, os.environ.get("PYTHONPATH", ""))))
    }
    # -P: what lies in the working directory shall not be taken for the program.
    command = [sys.executable, "-P", "-m", "proxy.dataplane", f"worker={index}", str(os.getpid())]
    # A session of its own: where no cgroup parts the processor, the kernel does it by session (sched(7), autogroup),
    # and what the control process computes would be taken from its workers' part.
    return subprocess.Popen(command, stdin=channel.fileno(), env=environment, start_new_session=True)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A child that begins now never hears signals that are meant for the control process, not even before it can say
    so: Ctrl-C goes to the whole group."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reap(popen: "subprocess.Popen[bytes] | None", patience: float) -> int:
    if popen is None:
        return 0
    try:
        return popen.wait(patience)
    except subprocess.TimeoutExpired:
        popen.kill()
        return popen.wait()
