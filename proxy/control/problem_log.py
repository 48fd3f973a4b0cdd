"""Logs problems once each, and says when they are gone.

Invariant: a problem that stays is one line however often it is reported.
"""

import logging
from collections.abc import Iterable

from proxy.model.problem import Problem

_log = logging.getLogger(__name__)


class ProblemLog:
    """Remembers what was said."""

    def __init__(self) -> None:
        self._said: frozenset[Problem] = frozenset()

    def report(self, problems: Iterable[Problem]) -> None:
        """Log what is new and what is mended, compared with the last call."""
        now = frozenset(problems)
        for problem in sorted(now - self._said, key=str):
            _log.warning(str(problem))
        for problem in sorted(self._said - now, key=str):
            _log.info(f"mended: {problem}")
        self._said = now
