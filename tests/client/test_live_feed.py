"""The stream read in a thread, from servers that answer as the proxy does, or end, or do not."""

import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest

from proxy.client import live_feed
from proxy.client.admin_api import AdminAPI
from proxy.client.live_feed import LiveFeed, events
from proxy.reports.live_frame import Frame
from proxy.startup_error import StartupError
from tests.client.picture import counts, endpoint, frame, service

WEB = service("web", endpoint(1))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1000\n\n"
FIRST = frame(WEB, counts={"default/web": {0: counts(opened=1)}})


def event(kind: str, body: Frame) -> bytes:
    return f"id: 1-1\nevent: {kind}\ndata: ".encode() + msgspec.json.encode(body) + b"\n\n"


class Streaming:
    """Answers each connection with the next of `answers`, and holds the last one open until it is closed."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for number, answer in enumerate(self._answers, 1):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed before everybody came
            connection.recv(4096)
            connection.sendall(answer)
            if number < len(self._answers):
                connection.close()
            else:
                self._open.append(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for connection in self._open:
            connection.close()
        self._listener.close()


@pytest.fixture
def streaming() -> Iterator[type[Streaming]]:
    """The class, whose instances are closed at the end."""
    made: list[Streaming] = []

    class Made(Streaming):
        def __init__(self, *answers: bytes) -> None:
            super().__init__(*answers)
            made.append(self)

    yield Made
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_feed, "_PAUSE", 0.01)


def test_events_are_told_apart() -> None:
    lines = [
        b"retry: 1000\n",
        b"\n",
        b"id: 1\n",
        b"event: snapshot\n",
        b"data: {}\n",
        b"\n",
        b": beat\n",
        b"\n",
        b"data: 1\r\n",
        b"\n",
    ]
    assert list(events(iter(lines))) == [("snapshot", b"{}"), ("message", b"1")]


def test_the_feed_shows_what_came(streaming: type[Streaming]) -> None:
    delta = Frame(time=2.0, services={"default/mail": service("mail")})
    with LiveFeed(AdminAPI(streaming(HEAD + event("snapshot", FIRST) + event("delta", delta)).address)) as feed:
        feed.wait()
        while len(feed.measure(1.0)) < 2:
            threading.Event().wait(0.01)
        assert [line.name for line in feed.measure(2.0)] == ["default/mail", "default/web"]
        assert feed.summary() == "serving, 2 Services, 7 connections, 4 flows"
        assert feed.fault == ""


def test_where_nobody_answers_that_is_said() -> None:
    with (
        LiveFeed(AdminAPI("127.0.0.1:1")) as feed,
        pytest.raises(StartupError, match="no svcproxy answers"),
    ):
        feed.wait()


def test_a_stream_that_ends_is_opened_again(streaming: type[Streaming]) -> None:
    other = frame(service("api"))
    server = streaming(HEAD + event("snapshot", FIRST), HEAD, HEAD + event("snapshot", other))
    with LiveFeed(AdminAPI(server.address)) as feed:
        while [line.name for line in feed.measure(1.0)] != ["default/api"]:
            threading.Event().wait(0.01)
        assert feed.fault == ""


def test_an_answer_that_is_no_stream_is_a_fault(streaming: type[Streaming]) -> None:
    refusal = b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 30\r\n\r\n{"error": "32 streams are open"}'
    with LiveFeed(AdminAPI(streaming(refusal, refusal).address)) as feed, pytest.raises(StartupError):
        feed.wait()


def test_garbage_is_a_fault_and_no_traceback(streaming: type[Streaming]) -> None:
    server = streaming(HEAD + b"event: snapshot\ndata: nonsense\n\n", HEAD)
    with LiveFeed(AdminAPI(server.address)) as feed, pytest.raises(StartupError):
        feed.wait()
