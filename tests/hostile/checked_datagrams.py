"""Datagrams through an echo backend, each answer checked.

Invariant: an answer belongs to a question of the same client, and no question is answered twice; some may be lost.
"""

import random
import select
import socket
from contextlib import ExitStack

_PATIENCE = 1.0
"""Seconds without any answer: the others are lost."""
NONE_LOST = 20.0
"""The same where none may be, however busy the machine is: nobody waits for it but a test that fails."""
_PAUSE = 0.05
"""Seconds without any answer: the next questions go out."""


def checked_datagrams(
    address: str, port: int, clients: int = 8, each: int = 50, size: int = 1200, patience: float = _PATIENCE
) -> int:
    """Every client asks so often, one question after the other's; gives how many were answered, those aside that are
    not by the time that nothing has come for `patience` seconds.

    Raises AssertionError for a wrong answer. The backend is one of `udp_backends`.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    numbers = random.Random(size)
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(clients)]
        open_questions: dict[socket.socket, set[bytes]] = {client: set() for client in sockets}
        for client in sockets:
            client.connect((address, port))
        answered = 0
        for _ in range(each):
            for client in sockets:
                question = numbers.randbytes(size)
                open_questions[client].add(question)
                client.send(question)
            answered += _answers(open_questions, clients, _PAUSE)
        while any(open_questions.values()) and (more := _answers(open_questions, clients, patience)):
            answered += more
        return answered


def _answers(open_questions: dict[socket.socket, set[bytes]], most: int, patience: float) -> int:
    """Check what comes, until `most` have or nothing does."""
    answered = 0
    while answered < most and (ready := select.select(list(open_questions), [], [], patience)[0]):
        for client in ready:
            name, separator, question = client.recv(65536).partition(b":")
            assert separator
            assert question in open_questions[client], f"an answer to nobody's question, by {name!r}"
            open_questions[client].remove(question)
            answered += 1
    return answered
