"""Reply sockets: where the answers of a UDP frontend leave from whose datagrams come through shared sockets.

Bound to the frontend's address and port, and not connected: a program of type sk_lookup comes
before sockets that are not (net/ipv4/udp.c, __udp4_lib_lookup), so nothing arrives here while it is in force.
"""

import socket

from proxy.dataplane.fragments import allow_fragments
from proxy.plan.frontend import FrontendKey

_IP_FREEBIND, _IPV6_FREEBIND = 15, 78


def open_reply_socket(key: FrontendKey) -> socket.socket:
    """Bound beside those of other workers. Raises OSError, where somebody else has the port among others."""
    family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        allow_fragments(sock)
        sock.bind((key.address, key.port))
    except OSError:
        sock.close()
        raise
    return sock
