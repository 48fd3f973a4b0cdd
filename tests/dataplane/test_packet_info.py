"""Packet information of real datagrams, and what a reply makes of it."""

import socket
import struct

import pytest

from proxy.dataplane.packet_info import ANCILLARY_SIZE, IP_PKTINFO, reply_from, request_packet_info


@pytest.mark.parametrize(("wildcard", "asked"), [("0.0.0.0", "127.0.0.5"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")])
def test_a_reply_leaves_from_the_address_that_was_asked(wildcard: str, asked: str) -> None:
    family = socket.AF_INET6 if ":" in wildcard else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        server.bind((wildcard, 0))
        request_packet_info(server)
        client.connect((asked, server.getsockname()[1]))
        client.send(b"question")
        data, ancillary, _, sender = server.recvmsg(100, ANCILLARY_SIZE)
        reply = reply_from(ancillary)
        assert data == b"question"
        server.sendmsg([b"answer"], reply, 0, sender)
        # A connected socket hears the address it asked and no other.
        client.settimeout(5)
        assert client.recv(100) == b"answer"


def test_an_interface_is_kept_for_link_local_addresses_alone() -> None:
    address = socket.inet_pton(socket.AF_INET6, "fe80::7") + struct.pack("I", 3)
    received = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, address)]
    assert reply_from(received) == tuple(received)
    address = socket.inet_pton(socket.AF_INET6, "fd00::7") + struct.pack("I", 3)
    ((_, _, data),) = reply_from([(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, address)])
    assert struct.unpack("I", data[16:]) == (0,)


def test_an_ipv4_reply_names_no_interface() -> None:
    data = struct.pack("i4s4s", 3, socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.255"))
    ((_, _, reply),) = reply_from([(socket.IPPROTO_IP, IP_PKTINFO, data)])
    assert struct.unpack("i4s4s", reply) == (0, socket.inet_aton("10.0.0.1"), bytes(4))


def test_other_ancillary_data_says_nothing() -> None:
    assert reply_from([(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"")]) == ()
