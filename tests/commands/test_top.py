"""`svcproxy top` as plain text, against a server that streams as the running proxy does."""

import builtins
import io
import sys
from typing import Any

import msgspec
import pytest

from proxy.cli import main
from tests.client.picture import counts, endpoint, frame, service
from tests.commands.answering import Answering, Run, Start

FRAME = frame(
    service("web", endpoint(1), endpoint(2, weight=0)),
    service("db", endpoint(3), namespace="data"),
    counts={"default/web": {0: counts(active=3)}, "data/db": {0: counts(active=5)}},
)


@pytest.fixture
def proxy(answering: Start, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Its stream ends at once, and is opened again at once."""
    monkeypatch.setattr("proxy.client.live_feed._PAUSE", 0.0)
    event = b"event: snapshot\ndata: " + msgspec.json.encode(FRAME) + b"\n\n"
    return answering({"/api/v1/stream": (200, event), "/api/v1/workers": (200, b"{}")})


@pytest.fixture(autouse=True)
def always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that has ended is no fault here, where the server cannot hold one open."""
    monkeypatch.setattr(
        "proxy.client.live_feed.LiveFeed.fault", property(lambda feed: "", lambda feed, text: None), raising=False
    )


def cells(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_once_prints_one_table(proxy: Answering, run: Run) -> None:
    status, output, errors = run(proxy.address, "top", "--once", "-d", "0.1", "--sort-by", "active")
    assert (status, errors) == (0, "")
    assert cells(output) == [
        ["SERVICE", "CONN/S", "ACTIVE", "IN/S", "OUT/S", "FAIL/S", "READY", "STATE"],
        ["data/db", "0", "5", "0", "0", "0", "1", "serving"],
        ["web", "0", "3", "0", "0", "0", "1", "serving"],
    ]


def test_a_pipe_gets_plain_text(proxy: Answering, run: Run) -> None:
    assert cells(run(proxy.address, "top", "-d", "0.1", "-n", "data")[1])[1][0] == "data/db"


def test_the_endpoints_of_one_service(proxy: Answering, run: Run) -> None:
    _, output, _ = run(proxy.address, "top", "web", "--once", "-d", "0.1")
    header, *rows = cells(output)
    assert header[-3:] == ["STATE", "POD", "PORT"]
    assert [(row[0], row[-3]) for row in rows] == [("10.0.0.1:8080", "ready"), ("10.0.0.2:8080", "draining")]


def test_a_service_that_is_not_there_is_an_error(proxy: Answering, run: Run) -> None:
    assert run(proxy.address, "top", "db", "--once", "-d", "0.1") == (
        1,
        "",
        'service "db" not found in namespace default\n',
    )
    assert run(proxy.address, "top", "db", "-n", "data", "--once", "-d", "0.1")[0] == 0


def test_a_batch_goes_on_until_it_is_told_to_stop(proxy: Answering, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter(range(3))

    def sleep(seconds: float) -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr("proxy.commands.top.time.sleep", sleep)
    status, output, _ = run(proxy.address, "top", "-b")
    assert (status, output.count("SERVICE")) == (130, 3)


@pytest.mark.parametrize("delay", ["0", "-1", "soon", "1e9", "nan"])
def test_a_delay_has_its_limits(proxy: Answering, run: Run, delay: str) -> None:
    status, _, errors = run(proxy.address, "top", f"--delay={delay}")
    assert (status, "must be seconds from 0.1 to 3600" in errors) == (2, True)


def test_an_unknown_column_is_a_mistake(proxy: Answering, run: Run) -> None:
    assert 'there is no column "pod"' in run(proxy.address, "top", "--once", "--sort-by", "pod")[2]
    assert run(proxy.address, "top", "web", "--once", "-d", "0.1", "--sort-by", "pod")[0] == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_textual_the_way_out_is_said(proxy: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    imports = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("textual"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return imports(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "proxy.client.top_screen", raising=False)
    errors = io.StringIO()
    assert main(["top"], Terminal(), errors, {"SVCPROXY_SERVER": proxy.address}) == 2
    assert "pip install 'svcproxy[top]'" in errors.getvalue()


def test_the_screen_is_imported_for_itself_alone(proxy: Answering, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "proxy.client.top_screen", raising=False)
    run(proxy.address, "top", "--once", "-d", "0.1")
    assert "proxy.client.top_screen" not in sys.modules
