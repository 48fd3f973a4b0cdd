"""The token that the admin address may ask for.

Invariants: it comes from a file, so that no list of processes shows it;
it is compared in a time that does not depend on how much of it was guessed.
"""

import base64
import binascii
import hmac

from proxy.startup_error import StartupError
from proxy.state_directory import warn_of_readers


class AdminToken:
    """A secret that never shows in a text."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def admits(self, authorization: str) -> bool:
        """Whether the header Authorization carries the token: `Bearer TOKEN`, or as the password of `Basic`, which is
        what a browser asks its user for (RFC 6750, RFC 7617)."""
        scheme, _, credentials = authorization.partition(" ")
        offered = credentials.strip().encode("utf-8", "surrogateescape")
        if scheme.lower() == "basic":
            offered = _password(offered)
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(offered, self._secret)


def read_admin_token(path: str) -> AdminToken | None:
    """The token in a file, white space around it left out; None for no path. Raises StartupError."""
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            secret = file.read().strip()
    except OSError as error:
        raise StartupError(f"adminTokenFile: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StartupError(f"adminTokenFile: {path} is not UTF-8 text") from error
    warn_of_readers(path, "adminTokenFile")
    if not secret or any(character.isspace() for character in secret):
        raise StartupError(f"adminTokenFile: {path} must hold one token without white space inside")
    return AdminToken(secret)


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
