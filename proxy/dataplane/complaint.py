"""A log line about something that may happen with every datagram or client. Pure; the clock is an argument.

Invariant: it is said at most once in INTERVAL, with how often it happened since it was said last.
"""

import logging

INTERVAL = 30.0
"""Seconds between two lines."""


class Complaint:
    """One thing to complain of."""

    __slots__ = ("_log", "_said_at", "_times")

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said_at = float("-inf")
        self._times = 0

    def make(self, now: float, message: str) -> None:
        """It happened once more; `now` is monotonic seconds."""
        self._times += 1
        if now - self._said_at >= INTERVAL:
            since = f" ({self._times} times since this was said last)" if self._times > 1 else ""
            self._log.warning("%s%s", message, since)
            self._said_at = now
            self._times = 0
