"""A client that does not read is not read from."""

import asyncio

from proxy.demo.echo_protocols import EchoStreamProtocol


class FakeTransport(asyncio.Transport):
    """Remembers whether it reads and what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def test_reading_stops_while_the_client_takes_nothing() -> None:
    transport, protocol = FakeTransport(), EchoStreamProtocol(lambda: None)
    protocol.connection_made(transport)
    protocol.data_received(b"hello")
    assert transport.written == b"hello"
    protocol.pause_writing()
    assert not transport.reading
    protocol.resume_writing()
    assert transport.reading
