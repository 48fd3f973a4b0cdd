"""The interface of a source: an async iterator of object changes.

Imports `model` alone. Invariant: a source yields nothing before it knows a complete first state.
"""

from collections.abc import AsyncGenerator
from typing import Protocol

from proxy.model.changes import Changes


class Source(Protocol):
    """Feeds the control process. `changes` ends only when it is cancelled or closed."""

    def changes(self) -> AsyncGenerator[Changes, None]:
        """Yield the complete first state, then every difference, in order."""
        ...

    def reread(self) -> None:
        """Look again at once (SIGHUP)."""
        ...
