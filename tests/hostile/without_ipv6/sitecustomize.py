"""Refuses IPv6 sockets to the program that Python starts with this directory on its path, as a kernel does that was
started with `ipv6.disable=1`. Python imports this module by its name at its own start.

Invariant: everything else is as it was.
"""

import errno
import os
import socket
from typing import Any

_make = socket.socket.__init__


def _make_or_refuse(made: socket.socket, family: int = -1, *arguments: Any, **named: Any) -> None:
    if family == socket.AF_INET6:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    _make(made, family, *arguments, **named)


socket.socket.__init__ = _make_or_refuse  # type: ignore[method-assign,assignment]
