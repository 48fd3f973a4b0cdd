"""The token and the kubeconfig: how kubectl on this machine finds the API, trusts it and is trusted.

Invariant: only the owner can read the token, which stays the same across restarts as long as one of the two files has
it.
"""

import base64
import contextlib
import logging
import os
import secrets

import msgspec

from proxy.apiserver.http.private_file import write_private
from proxy.startup_error import StartupError
from proxy.state_directory import set_aside

FILE_NAME = "kubeconfig"
_NAME = "svcproxy"
_TOKEN_BYTES = 32

_log = logging.getLogger(__name__)


class _User(msgspec.Struct, frozen=True):
    token: str = ""


class _NamedUser(msgspec.Struct, frozen=True):
    user: _User = _User()


class _Kubeconfig(msgspec.Struct, frozen=True):
    users: tuple[_NamedUser, ...] = ()


def load_or_make_token(directory: str) -> str:
    """The token kept in `directory`; where its file is damaged, that of the kubeconfig or a new one. Raises
    StartupError."""
    path = os.path.join(directory, "token")
    try:
        content = _read(path)
        token = _token(content) if content is not None else ""
        if content is not None and not token:
            aside, token = set_aside(path), _token_of_kubeconfig(directory)
            instead = "that of the kubeconfig is used" if token else "a new one is made: take the kubeconfig anew"
            _log.warning(f"{path}: is damaged (it holds no token): set aside as {aside}, and {instead}")
            content = None
        if content is None:
            token = token or secrets.token_urlsafe(_TOKEN_BYTES)
            write_private(path, f"{token}\n".encode())
    except OSError as error:
        way_out = "make room, or choose another directory with --state-dir"
        raise StartupError(f"{path}: cannot be used: {error.strerror}: {way_out}") from error
    return token


def write_kubeconfig(directory: str, server: str, authority: bytes, token: str) -> str:
    """Write the file for the API at the URL `server`, unless it says all that; gives its path, which is good in any
    directory."""
    path = os.path.abspath(os.path.join(directory, FILE_NAME))
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": _NAME,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(authority).decode(),
                },
            }
        ],
        "users": [{"name": _NAME, "user": {"token": token}}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME, "namespace": "default"}}],
        "current-context": _NAME,
    }
    content = msgspec.json.format(msgspec.json.encode(config))
    try:
        if _read(path) != content:
            write_private(path, content)
    except OSError as error:
        _log.warning(f"{path} cannot be written ({error.strerror}): kubectl does not find the API by it")
    return path


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _token(content: bytes) -> str:
    """The token in a file, or empty where that holds none."""
    token = content.strip()
    return token.decode() if token.isascii() and token.decode("ascii").isprintable() and b" " not in token else ""


def _token_of_kubeconfig(directory: str) -> str:
    content = _read(os.path.join(directory, FILE_NAME))
    if content is None:
        return ""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        users = msgspec.json.decode(content, type=_Kubeconfig).users
        return _token(users[0].user.token.encode()) if users else ""
    return ""
