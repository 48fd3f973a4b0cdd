"""A server that answers as the running proxy does, for the commands that look at one."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec

Answers = dict[str, tuple[int, bytes]]


class Answering:
    """An HTTP server in a thread. `answers` are status and body by path (with the query, else without it); what is
    not there is answered as the proxy does. `requests` are what was asked, with the Authorization header."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.requests: list[tuple[str, str]] = []
        serving = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                serving.requests.append((self.path, self.headers.get("Authorization", "")))
                nothing = 404, msgspec.json.encode({"error": f"nothing is at {self.path}"})
                answers = serving.answers
                status, body = answers.get(self.path) or answers.get(self.path.partition("?")[0]) or nothing
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing: the test's output is for the test."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


Start = Callable[..., Answering]
Run = Callable[..., tuple[int, str, str]]


def ok(body: object) -> tuple[int, bytes]:
    """A good answer."""
    return 200, msgspec.json.encode(body)
