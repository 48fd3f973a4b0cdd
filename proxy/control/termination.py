"""Termination: the signals that end the proxy, or make it look again.

Invariant: the first SIGTERM or SIGINT asks for a drain, the second for the end at once; the handlers go when the
context ends. A SIGHUP that came before is handled when the context begins, if the caller blocked it (proxy/cli.py).
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGTERM, signal.SIGINT)


class Termination:
    """`asked` is set by the first signal, `insisted` by the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()

    @contextmanager
    def handled(self, on_hangup: Callable[[], None]) -> Iterator[None]:
        """Handle the signals of this process; SIGHUP calls `on_hangup`."""
        loop = asyncio.get_running_loop()
        for number in _ENDING:
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for number in (*_ENDING, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        (self.insisted if self.asked.is_set() else self.asked).set()
