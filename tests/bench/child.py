"""Child: one process that the benchmark starts, pins to a core, and always ends.

Imports psutil and `measurement`. Invariant: a child never outlives the benchmark: it is stopped by pid when its
`with` block ends, and the kernel sends it SIGTERM if the benchmark itself is killed.
"""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from measurement import MeasurementFailedError

STOP_SECONDS = 5.0


class ChildFailedError(MeasurementFailedError):
    """A child ended, or never became ready; the text holds the end of its log."""


class Child:
    """`command` running on `core`, or on a list of them as taskset has it, its output in `log`. A session of its own
    keeps Ctrl-C for the benchmark alone."""

    def __init__(
        self, name: str, command: list[str], core: int | str, log: Path, directory: Path | None = None
    ) -> None:
        self.name = name
        self.command = ["taskset", "--cpu-list", str(core), "setpriv", "--pdeathsig", "TERM", *command]
        self.log = log
        self.directory = directory

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = self.family()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for orphan in psutil.wait_procs(family, timeout=STOP_SECONDS)[1]:
            orphan.kill()

    def family(self) -> list[psutil.Process]:
        """The process and all its descendants that are alive now; psutil's objects survive the reuse of a pid."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self.family())

    def check_alive(self) -> None:
        """Raises ChildFailedError if the process has ended."""
        if self.process.poll() is not None:
            raise ChildFailedError(f"{self.name} ended with status {self.process.returncode}:\n{self.log_tail()}")

    def wait_for_end(self, seconds: float) -> None:
        """Raises ChildFailedError where it does not end within so many seconds, with status 0."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ChildFailedError(f"{self.name} did not end in {seconds:.0f} s:\n{self.log_tail()}") from None
        if status:
            self.check_alive()

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
