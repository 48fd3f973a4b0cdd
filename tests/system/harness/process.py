"""A program under test as a process: its output by line as it comes, its log events, its end.

Invariant: whatever a test does, `close` ends the process and the threads that read its output.
"""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

import psutil

PATIENCE = 20.0
"""Seconds to wait for what must happen; only a failing test waits that long."""

Event = Mapping[str, object]
Found = TypeVar("Found")


class Process:
    """A running program. `stdout` and `stderr` are the lines so far, without their ends."""

    def __init__(self, argv: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self._popen = subprocess.Popen(
            argv,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._popen.pid
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._changed = threading.Condition()
        self._open_streams = 2
        self._readers = [self._read(self._popen.stdout, self.stdout), self._read(self._popen.stderr, self.stderr)]

    def wait_for(self, text: str, timeout: float = PATIENCE) -> str:
        """The first line of stderr or stdout that contains `text`, waiting for it if need be."""

        def found() -> str | None:
            return next((line for line in (*self.stderr, *self.stdout) if text in line), None)

        return self._wait(found, f"the text {text!r}", timeout)

    def wait_for_event(self, name: str, timeout: float = PATIENCE, **fields: object) -> Event:
        """The first log event `name` whose fields have these values, waiting for it if need be."""

        def found() -> Event | None:
            return next((event for event in self.events(name) if fields.items() <= event.items()), None)

        return self._wait(found, f"the event {name!r} {fields or ''}", timeout)

    def events(self, name: str) -> list[Event]:
        """The events `name` in the JSON log so far."""
        parsed = (json.loads(line) for line in tuple(self.stderr) if line.startswith("{"))
        return [event for event in parsed if event["event"] == name]

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit status, once the process has ended and its output is complete."""
        status = self._popen.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = PATIENCE) -> int:
        """Send `number`, and wait for the exit status."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)
        return self.wait(timeout)

    def close(self) -> list[psutil.Process]:
        """End the process by force if need be; returns the children that outlived it (which are ended, too)."""
        children = psutil.Process(self.pid).children(recursive=True) if self._popen.poll() is None else []
        self._end()
        _, alive = psutil.wait_procs(children, timeout=1)
        for child in alive:
            child.kill()
        psutil.wait_procs(alive, timeout=PATIENCE)
        self.wait()
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()
        return alive

    def _end(self) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _read(self, stream: IO[str] | None, lines: list[str]) -> threading.Thread:
        assert stream is not None

        def collect() -> None:
            for line in stream:
                with self._changed:
                    lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
            with self._changed:
                self._open_streams -= 1
                self._changed.notify_all()

        reader = threading.Thread(target=collect, name=f"output of {self.pid}", daemon=True)
        reader.start()
        return reader

    def _wait(self, found: Callable[[], Found | None], what: str, timeout: float) -> Found:
        deadline = time.monotonic() + timeout
        with self._changed:
            while (result := found()) is None:
                ended = not self._open_streams
                if ended or not self._changed.wait(deadline - time.monotonic()):
                    raise AssertionError(f"{'ended' if ended else 'waited'} without {what}; {self.output()}")
            return result

    def output(self) -> str:
        """Everything the process wrote, for the message of a failed test."""
        return "\n".join(("stdout:", *self.stdout, "stderr:", *self.stderr))
