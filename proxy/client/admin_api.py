"""The way to a running proxy: its API over HTTP, as a command asks it.

Invariant: GET alone, and what keeps it from an answer is a
StartupError in one line with the way out.
"""

import argparse
import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from proxy.admin.api_answers import NO_FIRST_STATE
from proxy.startup_error import NoFirstStateError, StartupError

DEFAULT_SERVER = "127.0.0.1:10249"
SERVER_VARIABLE, TOKEN_VARIABLE = "SVCPROXY_SERVER", "SVCPROXY_TOKEN_FILE"
_UNIX = "unix:"
_TIMEOUT = 10.0

Body = TypeVar("Body")


class NotFoundError(Exception):
    """The proxy answers that there is no such thing, in its words."""


class _Failure(msgspec.Struct):
    """What an answer that is none says."""

    error: str = ""
    reason: str = ""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AdminAPI:
    """One proxy's API. `server` is IP:PORT, unix:PATH, or the address of its page; `token`, which came from
    `token_file`, is sent if it is not empty. Raises ValueError."""

    def __init__(self, server: str, token: str = "", token_file: str = "") -> None:
        self._unix_socket = server.removeprefix(_UNIX) if server.startswith(_UNIX) else ""
        host, _, port = server.removeprefix("http://").rstrip("/").rpartition(":")
        if self._unix_socket:
            host, port = "localhost", "1"
        elif not host or not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535):
            raise ValueError(f'must be IP:PORT with a port from 1 to 65535, or unix:PATH, not "{server}"')
        self.server = server
        self._token_file = token_file
        self._place = host.strip("[]"), int(port)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, body: type[Body], **query: str) -> Body:
        """The answer at /api/v1/`path`; parts of the query that are empty are left out.

        Raises StartupError where nobody answers as svcproxy does, NoFirstStateError where it knows nothing yet,
        NotFoundError where it says so.
        """
        wanted = urlencode({name: text for name, text in query.items() if text})
        status, answer = self._fetch(f"/api/v1/{path}" + (f"?{wanted}" if wanted else ""))
        if status != http.client.OK:
            raise self._refusal(status, answer)
        try:
            return msgspec.json.decode(answer, type=body)
        except msgspec.MsgspecError as error:
            raise StartupError(f"what {self.server} answers is not svcproxy's: {error}") from error

    @contextmanager
    def stream(self, path: str, patience: float) -> Iterator[tuple[http.client.HTTPResponse, socket.socket]]:
        """The answer at /api/v1/`path` as it comes, and the socket that it comes from, which another thread may shut
        down to end it; TimeoutError where nothing comes for so many seconds.

        Raises as `get` does; OSError and HTTPException while it is read are the reader's.
        """
        connection = self._connection(patience)
        try:
            response, sock = self._request(connection, f"/api/v1/{path}")
            if response.status != http.client.OK:
                raise self._refusal(response.status, response.read())
            yield response, sock
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._unix_socket:
            return _UnixConnection(self._unix_socket, timeout)
        return http.client.HTTPConnection(*self._place, timeout=timeout)

    def _fetch(self, path: str) -> tuple[int, bytes]:
        connection = self._connection(_TIMEOUT)
        try:
            response, _ = self._request(connection, path)
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._nobody(error) from error
        finally:
            connection.close()

    def _request(
        self, connection: http.client.HTTPConnection, path: str
    ) -> tuple[http.client.HTTPResponse, socket.socket]:
        try:
            connection.connect()
            sock: socket.socket = connection.sock
            connection.request("GET", path, headers=self._headers)
            return connection.getresponse(), sock
        except (OSError, http.client.HTTPException) as error:
            raise self._nobody(error) from error

    def _nobody(self, error: Exception) -> StartupError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        way_out = "start one, or name its metricsBindAddress with --server"
        return StartupError(f"no svcproxy answers on {self.server} ({reason}): {way_out}")

    def _refusal(self, status: int, answer: bytes) -> Exception:
        try:
            failure = msgspec.json.decode(answer, type=_Failure)
        except msgspec.MsgspecError:
            failure = _Failure()
        said = failure.error
        if not said:
            return StartupError(f"{self.server} answered {status}: is it svcproxy's metricsBindAddress?")
        if status == http.client.UNAUTHORIZED and self._token_file:
            return StartupError(f"{self.server} refused: the token in {self._token_file} is not this proxy's")
        if status == http.client.UNAUTHORIZED:
            return StartupError(f"{self.server} asks for a token: name the file that holds it with --token-file")
        if failure.reason == NO_FIRST_STATE:
            return NoFirstStateError(f"{self.server}: {said}")
        return NotFoundError(said) if status == http.client.NOT_FOUND else StartupError(f"{self.server}: {said}")


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    """--server and --token-file, which every command has that looks at a running proxy."""
    parser.add_argument(
        "--server",
        metavar="IP:PORT",
        help=f"the proxy's metricsBindAddress, or unix:PATH of its adminSocket (${SERVER_VARIABLE}, {DEFAULT_SERVER})",
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help=f"a file with the token of its adminTokenFile (${TOKEN_VARIABLE})"
    )


def admin_api(arguments: argparse.Namespace, environment: Mapping[str, str]) -> AdminAPI:
    """The proxy that the flags, else the environment, name. Raises StartupError."""
    server, server_name = _given(arguments.server, "--server", environment, SERVER_VARIABLE)
    path, token_name = _given(arguments.token_file, "--token-file", environment, TOKEN_VARIABLE)
    try:
        return AdminAPI(server or DEFAULT_SERVER, _token(path, token_name) if path else "", path)
    except ValueError as error:
        raise StartupError(f"{server_name} {error}") from error


def _given(flag: str | None, name: str, environment: Mapping[str, str], variable: str) -> tuple[str, str]:
    """The value, empty where there is none, and what a message calls the place that it came from."""
    return (flag, name) if flag else (environment.get(variable, ""), f"${variable}")


def _token(path: str, name: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StartupError(f"{name}: {path} cannot be read: {reason}") from error
    if not token.isascii() or not token.isprintable() or not token:
        raise StartupError(f"{name}: {path} must hold one token")
    return token
