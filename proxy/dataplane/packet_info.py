"""Packet information: which local address a datagram on a wildcard socket was sent to, so the reply can leave from it.

Implements IP_PKTINFO (ip(7)) and IPV6_RECVPKTINFO (RFC 3542, section 6.2). Invariant: the ancillary data that
`reply_from` gives makes sendmsg use exactly the address that the client asked.
"""

import socket

IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
_IN_PKTINFO_SIZE = 12
_IN6_PKTINFO_SIZE = 20
ANCILLARY_SIZE = socket.CMSG_SPACE(_IN6_PKTINFO_SIZE)

Ancillary = tuple[tuple[int, int, bytes], ...]


def request_packet_info(sock: socket.socket) -> None:
    """Ask for the packet information of every datagram."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def reply_from(received: list[tuple[int, int, bytes]]) -> Ancillary:
    """Ancillary data for a reply to the datagram that came with `received`; empty where it said nothing."""
    for level, kind, data in received:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            # struct in_pktinfo: interface, local address, header destination. Interface 0 leaves the route to the
            # kernel.
            return ((level, kind, bytes(4) + data[4:8] + bytes(4)),)
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            # struct in6_pktinfo: address, interface; only a link-local address (fe80::/10) needs the interface.
            is_link_local = data[0] == 0xFE and data[1] & 0xC0 == 0x80
            return ((level, kind, data if is_link_local else data[:16] + bytes(4)),)
    return ()
