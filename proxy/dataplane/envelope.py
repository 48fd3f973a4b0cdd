"""Envelopes: what the kernel says of a datagram beside its bytes, as it says it.

An envelope is ENVELOPE_SIZE bytes that recvmmsg fills and sendmmsg reads: the client's socket address, on a wildcard
socket the control message that names the local address (IP_PKTINFO of ip(7), IPV6_PKTINFO of RFC 3542, section 6.2),
and on a shared one that which names address and port (IP_ORIGDSTADDR, IPV6_ORIGDSTADDR; net/ipv4/ip_sockglue.c,
net/ipv6/datagram.c). Where each lies is the layout's affair, so that what tells one flow from another is one slice of
bytes, which costs a small part of what objects made of it would. Invariant: a datagram sent in the envelope that
`answering` gives leaves from the address that `local` reads.
"""

import socket
import struct
import sys
from typing import Final

import msgspec

ENVELOPE_SIZE: Final = 80
"""Bytes, a multiple of the alignment that the kernel's control messages have."""

_CONTROL_HEADER = socket.CMSG_LEN(0)
_PACKET_INFO_OF_IPV4 = socket.CMSG_SPACE(12)
_PACKET_INFO_OF_IPV6 = socket.CMSG_SPACE(20)
_ASKED_OF_IPV4 = socket.CMSG_SPACE(16)
_ASKED_OF_IPV6 = socket.CMSG_SPACE(28)
_CONTROL_KIND = struct.Struct("@Lii")
_IP_PKTINFO = 8


class EnvelopeLayout(msgspec.Struct, frozen=True):
    """Offsets into an envelope: of the client's socket address, of the control message with `control_size` bytes, and
    the bounds of the key, the bytes by which flows differ, and of the place, those that name the address and port that
    were asked: none but on a shared socket."""

    family: socket.AddressFamily
    name: int
    name_size: int
    control: int
    control_size: int
    key_start: int
    key_end: int
    place_start: int = 0
    place_end: int = 0

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
        if self.place_end:
            self._name_source(answer, info, local)
        elif self.family == socket.AF_INET:
            # struct in_pktinfo: interface, local address, header destination. Interface 0 leaves the route to the
            # kernel.
            answer[info : info + 12] = bytes(4) + local + bytes(4)
        elif not (local[0] == 0xFE and local[1] & 0xC0 == 0x80):
            # struct in6_pktinfo: address, interface; only a link-local address (fe80::/10) needs the interface.
            answer[info + 16 : info + 20] = bytes(4)
        return bytes(answer)

    def place(self, envelope: bytes) -> tuple[str, int]:
        """The address and port that were asked; for a shared socket's."""
        asked = self.control + _CONTROL_HEADER
        return self.local(envelope), int.from_bytes(envelope[asked + 2 : asked + 4], "big")

    def _name_source(self, answer: bytearray, info: int, local: bytes) -> None:
        """Packet information in the place of the socket address, which is longer."""
        header = answer[self.control : info]
        scope = bytes(answer[info + 24 : info + 28])
        answer[info : self.control + self.control_size] = bytes(self.control_size - _CONTROL_HEADER)
        if self.family == socket.AF_INET:
            header[:] = _CONTROL_KIND.pack(socket.CMSG_LEN(12), socket.IPPROTO_IP, _IP_PKTINFO)
            answer[info + 4 : info + 8] = local
        else:
            header[:] = _CONTROL_KIND.pack(socket.CMSG_LEN(20), socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)
            answer[info : info + 20] = local + scope
        answer[self.control : info] = header

    def _local(self, envelope: bytes) -> bytes:
        info = self.control + _CONTROL_HEADER
        if self.place_end:
            return envelope[info + 4 : info + 8] if self.family == socket.AF_INET else envelope[info + 8 : info + 24]
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


def shared_layout_of(family: socket.AddressFamily) -> EnvelopeLayout:
    """The layout for a socket of the family through which the clients of many frontends come."""
    return _SHARED_IPV4 if family == socket.AF_INET else _SHARED_IPV6


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
_SHARED_IPV4 = EnvelopeLayout(
    socket.AF_INET,
    _ASKED_OF_IPV4,
    16,
    0,
    _ASKED_OF_IPV4,
    _CONTROL_HEADER,
    _ASKED_OF_IPV4 + 8,
    _CONTROL_HEADER,
    _CONTROL_HEADER + 8,
)
_SHARED_IPV6 = EnvelopeLayout(
    socket.AF_INET6,
    0,
    28,
    32,
    _ASKED_OF_IPV6,
    0,
    32 + _CONTROL_HEADER + 24,
    32 + _CONTROL_HEADER,
    32 + _CONTROL_HEADER + 24,
)
