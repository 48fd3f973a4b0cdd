"""The interface of a source: an async iterator of object changes.

Invariant: a source yields nothing before it knows a complete first state.
"""

from collections.abc import AsyncGenerator
from typing import Protocol

from proxy.dns.settings import SocketAddress
from proxy.events.event_sink import EventSink
from proxy.model.changes import Changes
from proxy.model.problem import Problem
from proxy.model.source_statistics import ResourceStatistics


class Source(Protocol):
    """Feeds the control process. `changes` ends only when it is cancelled or closed."""

    def changes(self) -> AsyncGenerator[Changes, None]:
        """Yield the complete first state, then every difference, in order."""
        ...

    def event_sink(self) -> EventSink | None:
        """Where Events about its objects are written; None where there is no API."""
        ...

    def statistics(self) -> tuple[ResourceStatistics, ...]:
        """How it keeps up with each resource of a server; nothing where there is no server."""
        ...

    def hindrances(self) -> tuple[Problem, ...]:
        """Why there is no first state yet, where a server is followed; nothing from then on."""
        ...

    def api_address(self) -> SocketAddress | None:
        """Where it answers clients of an API of its own, once it does; None where it has none."""
        ...

    def reread(self) -> None:
        """Look again at once (SIGHUP)."""
        ...
