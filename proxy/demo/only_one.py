"""Whether another demo runs on this machine, and which process it is.

The first one listens on a name that is no file (unix(7), abstract sockets), so that nothing is left behind. Invariant:
whoever asks is told the process that listens, by the kernel.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_CREDENTIALS = struct.Struct("iII")
"""struct ucred of include/linux/socket.h: pid, uid, gid."""


@contextmanager
def other_demo(name: str = "svcproxy-demo") -> Iterator[int]:
    """The process ID of the demo that runs already, or 0; this one is found from now on if there is none."""
    with socket.socket(socket.AF_UNIX) as own:
        try:
            own.bind(f"\0{name}")
        except OSError:
            yield _listener(name)
            return
        own.listen()
        yield 0


def _listener(name: str) -> int:
    """0 where it has ended by now."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(f"\0{name}")
        except OSError:
            return 0
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(credentials)[0]
    return pid
