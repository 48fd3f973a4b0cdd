"""How often health was asked for, and what was answered.

Invariant: one count for each answer that was given.
"""

from collections.abc import Mapping
from types import MappingProxyType

PATHS = ("/healthz", "/livez", "/readyz")
CODES = (200, 503)


class AnswerCounts:
    """By path and status; every pair is there from the start, as counters should be."""

    def __init__(self) -> None:
        self._counts = {(path, code): 0 for path in PATHS for code in CODES}
        self.counts: Mapping[tuple[str, int], int] = MappingProxyType(self._counts)

    def count(self, path: str, code: int) -> None:
        """One more answer."""
        self._counts[path, code] += 1
