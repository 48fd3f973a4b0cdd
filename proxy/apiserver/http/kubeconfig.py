"""The kubeconfig: how kubectl on this machine finds the API, trusts it and is trusted.

Imports this room's private files. Invariant: only the owner can read the token, which stays the same across restarts.
"""

import base64
import os
import secrets

import msgspec

from proxy.apiserver.http.private_file import write_private

FILE_NAME = "kubeconfig"
_NAME = "svcproxy"
_TOKEN_BYTES = 32


def load_or_make_token(directory: str) -> str:
    """The token kept in `directory`."""
    path = os.path.join(directory, "token")
    try:
        with open(path, encoding="ascii") as file:
            token = file.read().strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        write_private(path, f"{token}\n".encode())
    return token


def write_kubeconfig(directory: str, server: str, authority: bytes, token: str) -> str:
    """Write the file for the API at the URL `server`; gives its path, which is good in any directory."""
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
    write_private(path, msgspec.json.format(msgspec.json.encode(config)))
    return path
