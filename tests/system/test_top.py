"""`svcproxy top` in a real terminal (tmux, 80 by 24), over a running proxy."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness.clients import connect
from tests.system.harness.eventually import eventually
from tests.system.harness.myapp import MyApp
from tests.system.harness.svcproxy import METRICS_PORT, StartSvcproxy, environment_in

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


class Terminal:
    """A tmux of its own socket, with one command on its screen."""

    def __init__(self, directory: Path, *command: str) -> None:
        self._tmux = ("tmux", "-S", str(directory / "tmux"), "-f", "/dev/null")
        environment = environment_in(directory / "terminal") | {"LANG": "C.UTF-8", "TERM": "xterm-256color"}
        start = ("new-session", "-d", "-x", "80", "-y", "24", *command)
        subprocess.run([*self._tmux, *start], cwd=directory, env=environment, timeout=20, check=True)

    def screen(self) -> list[str]:
        """The lines, without what is blank at their ends."""
        shown = self._run("capture-pane", "-p")
        return [line.rstrip() for line in shown.stdout.splitlines()]

    def press(self, *keys: str) -> None:
        assert self._run("send-keys", *keys).returncode == 0

    @property
    def is_over(self) -> bool:
        """Whether the command has ended."""
        return self._run("has-session").returncode != 0

    def close(self) -> None:
        self._run("kill-server")

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture
def proxy_server(svcproxy: StartSvcproxy, myapp: MyApp) -> str:
    proxy = svcproxy([myapp.service, *myapp.pods])
    return f"{proxy.status_address}:{METRICS_PORT}"


@pytest.fixture
def terminal(tmp_path: Path, proxy_server: str) -> Iterator[Terminal]:
    command = (sys.executable, "-m", "proxy", "top", "-d", "0.2", "--server", proxy_server)
    shown = Terminal(tmp_path, *command)
    yield shown
    shown.close()


def cells(lines: list[str], beginning: str) -> list[str]:
    """The cells of the first line that begins so."""
    return next((line.split() for line in lines if line.strip().startswith(beginning)), [])


def test_the_screen_shows_services_and_leads_to_their_endpoints(terminal: Terminal, myapp: MyApp) -> None:
    eventually(lambda: cells(terminal.screen(), "myapp"), "the Service")
    lines = terminal.screen()
    assert cells(lines, "SERVICE") == ["SERVICE", "CONN/S", "ACTIVE", "IN/S", "OUT/S", "FAIL/S", "READY", "STATE"]
    assert cells(lines, "myapp")[-2:] == ["5", "serving"]
    assert len(lines) == 24
    assert max(map(len, lines)) <= 80
    with connect("127.0.0.1", myapp.node_port):
        eventually(lambda: cells(terminal.screen(), "myapp")[2:3] == ["1"], "the open connection")
    terminal.press("Enter")
    eventually(lambda: cells(terminal.screen(), "ENDPOINT"), "the endpoints")
    eventually(lambda: "myapp-a" in "\n".join(terminal.screen()), "their pods")
    terminal.press("Escape")
    eventually(lambda: cells(terminal.screen(), "SERVICE"), "the Services again")
    terminal.press("/", "n", "o")
    eventually(lambda: not cells(terminal.screen(), "myapp"), "the filter")
    terminal.press("Escape")
    eventually(lambda: cells(terminal.screen(), "myapp"), "everything again")
    terminal.press("q")
    eventually(lambda: terminal.is_over, "the end")


def test_the_rate_of_a_curl_loop_is_shown(terminal: Terminal, myapp: MyApp) -> None:
    def shown() -> bool:
        myapp.loop()
        return cells(terminal.screen(), "myapp")[1:2] not in ([], ["0"])

    eventually(shown, "a rate above 0")
