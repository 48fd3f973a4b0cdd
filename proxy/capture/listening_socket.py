"""Opens the listening socket of one frontend.

Invariant: the first bind is exclusive, so that a port which anybody else holds, another svcproxy included, is an error
and not a silent sharing.
"""

import errno
import socket

from proxy.dataplane.fragments import allow_fragments
from proxy.dataplane.tcp_acceptor import BACKLOG
from proxy.plan.frontend import FrontendKey

_IP, _IP_FREEBIND = socket.IPPROTO_IP, 15
_IPV6, _IPV6_FREEBIND = socket.IPPROTO_IPV6, 78
_RECEIVE_BUFFER = 4 * 1024 * 1024

LACKING_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
"""Error numbers of a bind that failed for want of a file descriptor."""


def open_listening_socket(key: FrontendKey, shared: bool = False, routed: bool = False) -> socket.socket:
    """A bound, non-blocking socket, listening if it is TCP. Raises OSError. `shared` and `routed` as in `bind_only`."""
    sock = bind_only(key, shared, routed)
    try:
        if key.protocol == "TCP":
            # Inherited by every accepted socket, which saves a system call each.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.listen(BACKLOG)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            allow_fragments(sock)
    except OSError:
        sock.close()
        raise
    return sock


def bind_only(key: FrontendKey, shared: bool = False, routed: bool = False) -> socket.socket:
    """A bound, non-blocking socket; of TCP it does not listen yet. Raises OSError.

    `shared` is for a port that another frontend of this process holds under another address: an exclusive bind of
    the wildcard and of one address of the same port exclude each other, with SO_REUSEPORT the kernel prefers the
    more specific one. `routed` is for an address that is local by a route and not by an interface.
    """
    family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
    kind = socket.SOCK_STREAM if key.protocol == "TCP" else socket.SOCK_DGRAM
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if routed:
            sock.setsockopt(*((_IPV6, _IPV6_FREEBIND) if family == socket.AF_INET6 else (_IP, _IP_FREEBIND)), 1)
        _bind(sock, key, shared)
    except OSError:
        sock.close()
        raise
    return sock


def is_lacking_descriptors(error: OSError) -> bool:
    """Whether the bind failed for want of a file descriptor."""
    return error.errno in LACKING_DESCRIPTORS


def is_taken(error: OSError) -> bool:
    """Whether the bind failed because somebody holds the port."""
    return error.errno == errno.EADDRINUSE


def _bind(sock: socket.socket, key: FrontendKey, shared: bool) -> None:
    if key.protocol == "TCP":
        # TIME_WAIT of an earlier run must not keep the port from us.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((key.address, key.port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
