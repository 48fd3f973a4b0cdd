"""A listening Unix socket that its owner alone may connect to.

Invariant: a socket file that nobody listens on any more is replaced; one that is in use, or any other file, is not.
"""

import contextlib
import errno
import os
import socket
import stat

_OWNER_ALONE = 0o177


def listening_unix_socket(path: str) -> socket.socket:
    """Raises OSError, EADDRINUSE where something else is there."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(_OWNER_ALONE)
    try:
        listener.bind(path)
        listener.listen()
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _remove_stale(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EADDRINUSE, "another file is there")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as asking:
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        else:
            raise OSError(errno.EADDRINUSE, "another process listens there")
