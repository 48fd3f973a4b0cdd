"""Fragments of datagrams that are longer than a link of their path takes.

By default Linux sets the bit DF in what it sends over UDP, and tells a connected socket of each datagram that a router
had to throw away for that (EMSGSIZE; net/ipv4/udp.c, __udp4_lib_err). Whoever relays cannot send the datagram again, so
here routers may cut it (IP_PMTUDISC_DONT, ip(7)). IPv6 knows no cutting on the way (RFC 8200, section 5): there the
first datagram is lost, and the kernel cuts the next ones to the size that the router told.
"""

import socket
from socket import SocketType
from typing import Final

# include/uapi/linux/in.h and in6.h; the socket module does not have them.
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_DONT: Final = 0
_IPV6: Final = socket.AF_INET6


def allow_fragments(sock: SocketType) -> None:
    """Of datagrams that this socket sends. Raises OSError."""
    if sock.family == _IPV6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _DONT)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _DONT)
