"""Writes lines to a descriptor without ever waiting for whoever reads them.

A log that waits for its reader stops the process that writes it. Lines that find no room wait here, up to a bound, and
a thread writes them as room comes; it is there only while lines wait. Beyond the bound lines are dropped and counted.
Invariant: what arrives is whole lines, whichever processes write to the same place, also after the disk was full.
"""

import contextlib
import errno
import fcntl
import os
import select
import socket
import stat
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

MOST_WAITING = 1024 * 1024
"""Bytes of lines that wait for room."""
_LARGEST_WRITE = 64 * 1024
_LAST_WORDS = 1.0
"""Seconds that waiting lines have at the end."""


class _Sink(Protocol):
    """A kind of descriptor."""

    largest: int
    """Bytes that may be written at once without mixing with what others write."""

    def write(self, data: bytes) -> int:
        """Write whole lines, and give how many bytes were. Raises BlockingIOError where there is no room, OSError."""

    def wait(self) -> None:
        """Wait until there may be room."""

    def close(self) -> None: ...


class LineOutput:
    """Writes to `descriptor`, which stays the caller's; any thread may write. `dropped` is how many lines were lost.
    `error` is why the last ones were, and None since one was written."""

    def __init__(self, descriptor: int, most: int = MOST_WAITING) -> None:
        self.dropped = 0
        self.error: str | None = None
        self._sink = _sink_of(descriptor)
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._writer: threading.Thread | None = None
        self._closed = False

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, each with its end of line, or have them written later, or drop them."""
        with self._lock:
            for line in lines:
                if self._size + len(line) > self._most:
                    self._write_now_or_later()
                if self._closed or self._size + len(line) > self._most:
                    self._lose(1, "nobody reads it")
                else:
                    self._waiting.append(line)
                    self._size += len(line)
            self._write_now_or_later()

    def close(self) -> None:
        """Let lines that wait have a moment more, then forget them."""
        writer = self._writer
        if writer is not None:
            writer.join(_LAST_WORDS)
        with self._lock:
            self._lose(len(self._waiting), "nobody reads it")
            self._waiting.clear()
            self._size = 0
            self._closed = True
            if self._writer is None:
                self._sink.close()

    def _write_now_or_later(self) -> None:
        if self._writer is None and not self._write_waiting():
            self._writer = threading.Thread(target=self._write_later, name="write lines", daemon=True)
            self._writer.start()

    def _write_waiting(self) -> bool:
        """Write what waits, as far as there is room; whether nothing waits any more."""
        while self._waiting:
            lines = list(_first_lines(self._waiting, self._sink.largest))
            data = b"".join(lines)
            try:
                written = self._sink.write(data)
            except BlockingIOError:
                return False
            except OSError as error:
                self._forget(len(lines), len(data))
                self._lose(len(lines), error.strerror or str(error))
                continue
            self.error = None
            self._forget(len(lines), len(data))
            if written < len(data):
                # The rest of a line that was begun, and those behind it.
                self._waiting.appendleft(data[written:])
                self._size += len(data) - written
        return True

    def _write_later(self) -> None:
        while True:
            self._sink.wait()
            with self._lock:
                if self._write_waiting():
                    self._writer = None
                    if self._closed:
                        self._sink.close()
                    return

    def _forget(self, lines: int, size: int) -> None:
        for _ in range(lines):
            self._waiting.popleft()
        self._size -= size

    def _lose(self, lines: int, why: str) -> None:
        self.dropped += lines
        if lines:
            self.error = why


def open_for_lines(path: str) -> int:
    """A descriptor for a file that lines are added to, or for a pipe by name. Raises OSError."""
    try:
        is_pipe = stat.S_ISFIFO(os.stat(path).st_mode)
    except FileNotFoundError:
        is_pipe = False
    # A pipe by name that is opened to write alone would wait for its reader, or fail without one.
    access = os.O_RDWR if is_pipe else os.O_WRONLY | os.O_CREAT
    return os.open(path, access | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)


def _first_lines(lines: "deque[bytes]", largest: int) -> Iterator[bytes]:
    """As many as make one write, the first of them however long it is."""
    size = 0
    for number, line in enumerate(lines):
        size += len(line)
        if number and size > largest:
            return
        yield line


def _sink_of(descriptor: int) -> _Sink:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return _File(descriptor)
    if stat.S_ISSOCK(mode):
        return _Socket(descriptor)
    return _Pipe(descriptor)


class _File:
    """A regular file, which several processes may write to. The disk can be full; it is never slow to say so."""

    largest = _LARGEST_WRITE

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)

    def write(self, data: bytes) -> int:
        """All of it or nothing."""
        # The lock keeps others from writing behind a part that is taken back.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            written = os.write(self._descriptor, data)
            if written < len(data):
                end = os.lseek(self._descriptor, -written, os.SEEK_CUR)
                os.ftruncate(self._descriptor, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return written
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def wait(self) -> None:
        """Another process writes, for as long as a write takes."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)


class _Pipe:
    """A pipe, a terminal or another device. Others have the same open file and rely on its waiting, so it is opened
    once more to be written without."""

    largest = select.PIPE_BUF

    def __init__(self, descriptor: int) -> None:
        self._descriptor = _without_waiting(descriptor)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def write(self, data: bytes) -> int:
        # Where it could not be opened anew, this look is what keeps from waiting: a pipe with room takes PIPE_BUF.
        if not self._poll.poll(0):
            raise BlockingIOError
        return os.write(self._descriptor, data)

    def wait(self) -> None:
        self._poll.poll()

    def close(self) -> None:
        os.close(self._descriptor)


class _Socket:
    """A stream socket, as systemd gives for standard error."""

    largest = _LARGEST_WRITE

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLOUT)

    def write(self, data: bytes) -> int:
        return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def wait(self) -> None:
        self._poll.poll()

    def close(self) -> None:
        self._socket.close()


def _without_waiting(descriptor: int) -> int:
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    return os.dup(descriptor)
