"""The UDP backend: sends every datagram back to where it came from. Run as `python udp_echo.py ADDRESS PORT`.

Imports the standard library. Invariant: one blocking socket and one buffer, two system calls a datagram, so that the
backend costs as little of the load's core as Python allows.
"""

import socket
import sys

RECEIVE_BUFFER = 4 * 2**20


def serve(address: str, port: int) -> None:
    """Echo until the process is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        server.bind((address, port))
        buffer = bytearray(65536)
        view = memoryview(buffer)
        while True:
            length, client = server.recvfrom_into(buffer)
            server.sendto(view[:length], client)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
