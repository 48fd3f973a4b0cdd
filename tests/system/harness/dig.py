"""The dig of this machine, unmodified, for the DNS of a running svcproxy.

Invariant: one try, bounded in time; whoever asks again does so on purpose.
"""

import re
import subprocess
from typing import NamedTuple

from tests.system.harness.process import PATIENCE, Process


class Answered(NamedTuple):
    """What dig printed: the code, the header's flags, and name, time to live, type and value of each answer."""

    code: str
    flags: frozenset[str]
    answers: list[tuple[str, int, str, str]]
    text: str

    @property
    def values(self) -> list[str]:
        return [value for *_, value in self.answers]


class Dig:
    """`dig("-t", "A", name)` asks the server that `process` said it serves DNS on."""

    def __init__(self, process: Process) -> None:
        event = process.wait_for_event("serving DNS")
        self.host, self.port = str(event["address"]), int(str(event["port"]))

    def __call__(self, *words: str) -> Answered:
        command = ["dig", f"@{self.host}", "-p", str(self.port), "+tries=1", "+time=10", *words]
        completed = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        text = completed.stdout
        code = re.search(r"status: (\w+)", text)
        flags = re.search(r"^;; flags: ([a-z ]*);", text, re.MULTILINE)
        assert code is not None, text
        assert flags is not None, text
        section = re.search(r"^;; ANSWER SECTION:\n((?:.+\n)+)", text, re.MULTILINE)
        lines = section[1].splitlines() if section else []
        rows = [re.split(r"\s+", line, maxsplit=4) for line in lines]
        return Answered(
            code[1],
            frozenset(flags[1].split()),
            [(name, int(ttl), record_type, value) for name, ttl, _, record_type, value in rows],
            text,
        )
