"""The stream of a running proxy, read in a thread into a live picture.

Invariant: whatever ends the stream, it is opened again after a pause, and why it is not there is said meanwhile;
`close` ends the thread.
"""

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Self

import msgspec

from proxy.client.admin_api import AdminAPI, NotFoundError
from proxy.client.live_picture import LivePicture
from proxy.client.rate_meter import RateMeter, ServiceLine
from proxy.reports.live_frame import Frame
from proxy.startup_error import StartupError

PATIENCE = 15.0
"""Seconds without anything, of which the proxy sends something every 5."""
_PAUSE = 1.0


class LiveFeed:
    """A context that reads while it lasts. `fault` is why there is no stream now, and empty while there is one."""

    def __init__(self, api: AdminAPI) -> None:
        self._api = api
        self._picture = LivePicture()
        self._meter = RateMeter()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._looked = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="live feed", daemon=True)
        self.server = api.server
        self.fault = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def wait(self) -> None:
        """Until there is a picture. Raises StartupError where nobody answers."""
        self._looked.wait()
        if self.fault:
            raise StartupError(self.fault)

    def measure(self, now: float) -> list[ServiceLine]:
        """The Services of this moment, with rates since the last call; `now` is monotonic seconds."""
        with self._lock:
            return self._meter.measure(self._picture, now)

    def summary(self) -> str:
        """The proxy in a line."""
        with self._lock:
            proxy, services, problems = self._picture.proxy, len(self._picture.services), self._picture.problems
        if proxy is None:
            return "no answer yet"
        state = "draining" if proxy.draining else "serving" if proxy.ready else "starting"
        words = [f"{services} Services", f"{proxy.tcp_connections} connections", f"{proxy.udp_flows} flows"]
        return ", ".join((state, *words, *([f"{problems} problems"] if problems else [])))

    def close(self) -> None:
        """Read no longer; returns when the thread has ended."""
        with self._lock:
            self._closed.set()
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with self._api.stream("stream", PATIENCE) as (response, sock):
                    self._watch(sock)
                    self._read(response)
                self.fault = f"{self.server} has ended the stream: is the proxy gone?"
            except (StartupError, NotFoundError, OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
                self.fault = str(error) or type(error).__name__
            self._watch(None)
            self._looked.set()
            self._closed.wait(_PAUSE)

    def _watch(self, sock: socket.socket | None) -> None:
        """What `close` must end."""
        with self._lock:
            self._socket = sock
            if sock is not None and self._closed.is_set():
                sock.shutdown(socket.SHUT_RDWR)

    def _read(self, response: http.client.HTTPResponse) -> None:
        decoder = msgspec.json.Decoder(Frame)
        for kind, data in events(response):
            frame = decoder.decode(data)
            with self._lock:
                self._picture.take(frame, whole=kind == "snapshot")
            self.fault = ""
            self._looked.set()
            if self._closed.is_set():
                return


def events(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[tuple[str, bytes]]:
    """The events of a stream with their kinds, as this proxy writes them: one line of data each (WHATWG HTML, 9.2)."""
    kind, data = "message", b""
    for line in lines:
        name, _, value = line.rstrip(b"\r\n").partition(b": ")
        if name == b"event":
            kind = value.decode()
        elif name == b"data":
            data = value
        elif not name and data:
            yield kind, data
            kind, data = "message", b""
