"""Envelopes: what the kernel says of a datagram beside its bytes, as it says it.

Imports nothing of ours. An envelope is ENVELOPE_SIZE bytes that recvmmsg fills and sendmmsg reads: the client's
socket address, and on a wildcard socket the control message that names the local address (IP_PKTINFO of ip(7),
IPV6_PKTINFO of RFC 3542, section 6.2). Where each lies is the layout's affair, so that what tells one flow from another
is one slice of bytes, which costs a small part of what objects made of it would. Invariant: a datagram sent in the
envelope that `answering` gives leaves from the address that `local` reads.
"""

import socket
import sys

import msgspec

ENVELOPE_SIZE = 80
"""Bytes, a multiple of the alignment that the kernel's control messages have."""

_CONTROL_HEADER = socket.CMSG_LEN(0)
_PACKET_INFO_OF_IPV4 = socket.CMSG_SPACE(12)
_PACKET_INFO_OF_IPV6 = socket.CMSG_SPACE(20)


class EnvelopeLayout(msgspec.Struct, frozen=True):
    """Offsets into an envelope: of the client's socket address, of the control message with `control_size` bytes, and
    the bounds of the key, the bytes by which flows differ."""

    family: socket.AddressFamily
    name: int
    name_size: int
    control: int
    control_size: int
    key_start: int
    key_end: int

    def client(self, envelope: bytes) -> tuple[str, int]:
        """The client's address, with the scope that a link-local one needs, and its port."""
        name = envelope[self.name : self.name + self.name_size]
        port = int.from_bytes(name[2:4], "big")
        if self.family == socket.AF_INET:
            return socket.inet_ntop(socket.AF_INET, name[4:8]), port
        return _scoped(name[8:24], int.from_bytes(name[24:28], sys.byteorder)), port

    def local(self, envelope: bytes) -> str:
        """The address that the client asked; empty where the socket is bound to one."""
        if not self.control_size:
            return ""
        return socket.inet_ntop(self.family, self._local(envelope))

    def answering(self, envelope: bytes) -> bytes:
        """The envelope for answers to the datagram that came in this one."""
        if not self.control_size:
            return envelope
        info = self.control + _CONTROL_HEADER
        local = self._local(envelope)
        answer = bytearray(envelope)
        if self.family == socket.AF_INET:
            # struct in_pktinfo: interface, local address, header destination. Interface 0 leaves the route to the
            # kernel.
            answer[info : info + 12] = bytes(4) + local + bytes(4)
        elif not (local[0] == 0xFE and local[1] & 0xC0 == 0x80):
            # struct in6_pktinfo: address, interface; only a link-local address (fe80::/10) needs the interface.
            answer[info + 16 : info + 20] = bytes(4)
        return bytes(answer)

    def _local(self, envelope: bytes) -> bytes:
        info = self.control + _CONTROL_HEADER
        if self.family == socket.AF_INET6:
            return envelope[info : info + 16]
        local, header_destination = envelope[info + 4 : info + 8], envelope[info + 8 : info + 12]
        # What was queued before packet information was asked for names only the destination in its header.
        return local if any(local) else header_destination


def layout_of(family: socket.AddressFamily, wildcard: bool) -> EnvelopeLayout:
    """The layout for a socket that is bound to one address of the family or to its wildcard address."""
    if family == socket.AF_INET:
        return _WILDCARD_IPV4 if wildcard else _BOUND_IPV4
    return _WILDCARD_IPV6 if wildcard else _BOUND_IPV6


def _scoped(address: bytes, interface: int) -> str:
    """An IPv6 address as getnameinfo gives it: with its interface where it means nothing without."""
    text = socket.inet_ntop(socket.AF_INET6, address)
    if not interface:
        return text
    try:
        return f"{text}%{socket.if_indextoname(interface)}"
    except OSError:
        # The interface went away meanwhile.
        return f"{text}%{interface}"


# The key of a wildcard one must leave the interface out: a client's datagrams may come in by more than one. So it runs
# from the header's destination to the client's port and address in IPv4, and from the client to the local address in
# IPv6, where the interface follows the addresses.
_BOUND_IPV4 = EnvelopeLayout(socket.AF_INET, 0, 16, 0, 0, 0, 8)
_BOUND_IPV6 = EnvelopeLayout(socket.AF_INET6, 0, 28, 0, 0, 0, 28)
_WILDCARD_IPV4 = EnvelopeLayout(
    socket.AF_INET, _PACKET_INFO_OF_IPV4, 16, 0, _PACKET_INFO_OF_IPV4, _CONTROL_HEADER + 8, _PACKET_INFO_OF_IPV4 + 8
)
_WILDCARD_IPV6 = EnvelopeLayout(socket.AF_INET6, 0, 28, 32, _PACKET_INFO_OF_IPV6, 0, 32 + _CONTROL_HEADER + 16)
