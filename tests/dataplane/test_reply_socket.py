"""Reply sockets: answers leave from the address and port that were asked, in both families."""

import socket

import pytest

from proxy.dataplane.envelope import ENVELOPE_SIZE, shared_layout_of
from proxy.dataplane.message_vector import MessageVector, slots_of
from proxy.dataplane.reply_socket import open_reply_socket
from proxy.plan.frontend import FrontendKey
from tests.lane import free_port

ORIGINAL_DESTINATION = {socket.AF_INET: (socket.IPPROTO_IP, 20), socket.AF_INET6: (socket.IPPROTO_IPV6, 74)}


@pytest.mark.parametrize(("address", "wildcard"), [("127.0.0.9", "0.0.0.0"), ("::1", "::")])
def test_an_answer_leaves_from_the_address_and_port_that_the_envelope_names(address: str, wildcard: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    layout = shared_layout_of(family)
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.setsockopt(*ORIGINAL_DESTINATION[family], 1)
        number = free_port()
        server.bind((address, number))
        client.settimeout(10)
        client.connect((address, number))
        client.send(b"hello")
        inbox = MessageVector(slots_of(bytearray(65_536)), layout)
        assert inbox.receive(server.fileno()) == 1
        envelope = bytes(inbox.envelopes[:ENVELOPE_SIZE])
        assert layout.place(envelope) == (address, number)
        assert layout.client(envelope) == client.getsockname()[:2]
        with open_reply_socket(FrontendKey("UDP", wildcard, number)) as answering:
            inbox.envelopes[:ENVELOPE_SIZE] = layout.answering(envelope)
            inbox.room[0] = 5
            assert inbox.send(answering.fileno(), 0, 1) == 1
            assert client.recv(64) == b"hello"


def test_a_place_that_somebody_holds_alone_is_an_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="in use"):
            open_reply_socket(FrontendKey("UDP", "127.0.0.1", other.getsockname()[1]))
