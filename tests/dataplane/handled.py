"""A handler of the reactor's that a test makes of functions, and what the fixture `pair` makes."""

import socket
from collections.abc import Callable
from socket import SocketType

Handler = Callable[[int], None]
Pair = Callable[[], tuple[SocketType, socket.socket]]


class Handled:
    """A handler made of functions."""

    def __init__(self, ready: Handler, go_on: Callable[[], None] = lambda: None) -> None:
        self.ready = ready
        self.go_on = go_on
        self.crashes = 0

    def crashed(self) -> None:
        self.crashes += 1
