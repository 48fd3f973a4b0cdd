"""Envelopes of real datagrams, and what an answer makes of them."""

import socket
import struct

import pytest

from proxy.dataplane.envelope import ENVELOPE_SIZE, EnvelopeLayout, layout_of
from proxy.dataplane.message_vector import SLOT_SIZE, MessageVector, slots_of
from proxy.dataplane.packet_info import request_packet_info

INTERFACE = 1
"""The loopback interface's number in every network namespace."""


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound(address: str) -> socket.socket:
    server = socket.socket(family_of(address), socket.SOCK_DGRAM)
    server.settimeout(5)
    server.bind((address, 0))
    return server


def envelope_of(server: socket.socket, layout: EnvelopeLayout) -> bytes:
    """That of the next datagram."""
    vector = MessageVector(slots_of(bytearray(SLOT_SIZE)), layout)
    assert vector.receive(server.fileno()) == 1
    return bytes(vector.envelopes)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("127.0.0.5", "127.0.0.5"),
        ("0.0.0.0", "127.0.0.5"),
        ("0.0.0.0", "127.0.0.1"),
        ("::1", "::1"),
        ("::", "::1"),
    ],
)
def test_an_answer_leaves_from_the_address_that_was_asked(address: str, asked: str) -> None:
    wildcard = address in ("0.0.0.0", "::")
    with bound(address) as server, socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        layout = layout_of(server.family, wildcard)
        if wildcard:
            request_packet_info(server)
        # A connected socket hears the address it asked and no other.
        client.connect((asked, server.getsockname()[1]))
        client.settimeout(5)
        client.send(b"question")
        envelope = envelope_of(server, layout)
        assert layout.client(envelope) == client.getsockname()[:2]
        assert layout.local(envelope) == (asked if wildcard else "")
        vector = MessageVector(slots_of(bytearray(SLOT_SIZE)), layout)
        vector.envelopes[:] = layout.answering(envelope)
        vector.slots[0][:6] = b"answer"
        vector.room[0] = 6
        assert vector.send(server.fileno(), 0, 1) == 1
        assert client.recv(100) == b"answer"


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_the_key_is_the_same_for_each_datagram_of_a_client_at_an_address(address: str) -> None:
    loopback = "127.0.0.1" if address == "0.0.0.0" else "::1"
    with bound(address) as server:
        request_packet_info(server)
        layout = layout_of(server.family, wildcard=True)
        keys = []
        with (
            socket.socket(server.family, socket.SOCK_DGRAM) as one,
            socket.socket(server.family, socket.SOCK_DGRAM) as two,
        ):
            for client in (one, one, two, two):
                client.sendto(b"", (loopback, server.getsockname()[1]))
                keys.append(envelope_of(server, layout)[layout.key_start : layout.key_end])
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_the_address_asked_is_part_of_the_key() -> None:
    with bound("0.0.0.0") as server, socket.socket(server.family, socket.SOCK_DGRAM) as client:
        request_packet_info(server)
        layout = layout_of(server.family, wildcard=True)
        keys = set()
        for asked in ("127.0.0.1", "127.0.0.2"):
            client.sendto(b"", (asked, server.getsockname()[1]))
            keys.add(envelope_of(server, layout)[layout.key_start : layout.key_end])
    assert len(keys) == 2


def test_a_datagram_that_came_before_packet_information_was_asked_for_is_answered_as_the_others() -> None:
    with bound("0.0.0.0") as server, socket.socket(server.family, socket.SOCK_DGRAM) as client:
        layout = layout_of(server.family, wildcard=True)
        client.sendto(b"", ("127.0.0.7", server.getsockname()[1]))
        request_packet_info(server)
        early = envelope_of(server, layout)
        client.sendto(b"", ("127.0.0.7", server.getsockname()[1]))
        late = envelope_of(server, layout)
    assert layout.local(early) == layout.local(late) == "127.0.0.7"
    assert layout.answering(early) == layout.answering(late)
    key = slice(layout.key_start, layout.key_end)
    assert early[key] == late[key]


def ipv6_envelope(client: str, scope: int, local: str, interface: int) -> tuple[EnvelopeLayout, bytes]:
    layout = layout_of(socket.AF_INET6, wildcard=True)
    name = struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", 53, 0)
    name += socket.inet_pton(socket.AF_INET6, client) + struct.pack("=I", scope)
    header = bytes(socket.CMSG_LEN(0))
    envelope = name.ljust(layout.control, b"\0") + header
    envelope += socket.inet_pton(socket.AF_INET6, local) + struct.pack("=I", interface)
    return layout, envelope.ljust(ENVELOPE_SIZE, b"\0")


def test_an_interface_is_kept_for_link_local_addresses_alone() -> None:
    layout, near = ipv6_envelope("fe80::1", INTERFACE, "fe80::7", INTERFACE)
    assert layout.answering(near) == near
    layout, far = ipv6_envelope("fd00::1", 0, "fd00::7", INTERFACE)
    _, anywhere = ipv6_envelope("fd00::1", 0, "fd00::7", 0)
    assert layout.answering(far) == anywhere


def test_the_interface_tells_link_local_clients_apart_and_no_others() -> None:
    def key(client: str, scope: int, interface: int) -> bytes:
        layout, envelope = ipv6_envelope(client, scope, "fd00::7", interface)
        return envelope[layout.key_start : layout.key_end]

    assert key("fd00::1", 0, 1) == key("fd00::1", 0, 2)
    assert key("fe80::1", 1, 1) != key("fe80::1", 2, 2)


def test_a_link_local_client_is_named_with_its_interface() -> None:
    layout, envelope = ipv6_envelope("fe80::1", INTERFACE, "fe80::7", INTERFACE)
    assert layout.client(envelope) == (f"fe80::1%{socket.if_indextoname(INTERFACE)}", 53)
    layout, envelope = ipv6_envelope("fe80::1", 0xFFFF, "fe80::7", 0xFFFF)
    assert layout.client(envelope) == ("fe80::1%65535", 53)
