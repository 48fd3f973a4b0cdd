"""Stickiness: the ClientIP affinity of one Service port and family, shared by the pools that serve it.

Invariant: an endpoint has one identity from the moment the first pool has it until the last one lets go, so ClusterIP
and NodePort agree on a client's endpoint, and an endpoint that left and came back is a new one.
"""

from collections.abc import Callable

from proxy.affinity import AffinityEntry, AffinityGroup, AffinityTable

Place = tuple[str, int]
"""(address, port) of an endpoint."""


class Stickiness:
    """One group of the worker's affinity table and the identities of the endpoints its entries name. `evicted` is
    called for each client of it that is forgotten to make room for another."""

    __slots__ = ("_group", "_holders", "_identities", "_last", "_table", "pools")

    def __init__(self, table: AffinityTable, timeout: int, evicted: Callable[[], None] | None = None) -> None:
        self._table = table
        self._group = table.open_group(timeout, evicted)
        self._identities: dict[Place, int] = {}
        self._holders: dict[Place, int] = {}
        self._last = 0
        self.pools: set[str] = set()

    def set_timeout(self, timeout: int) -> None:
        """Seconds since last use; entries that exist are judged by the new value."""
        self._group.timeout = timeout

    def join(self, place: Place) -> int:
        """A pool has this endpoint now; gives its identity."""
        self._holders[place] = self._holders.get(place, 0) + 1
        identity = self._identities.get(place)
        if identity is None:
            self._last += 1
            identity = self._identities[place] = self._last
        return identity

    def leave(self, place: Place) -> None:
        """A pool no longer has this endpoint; with the last one, its entries lead nowhere."""
        self._holders[place] -= 1
        if not self._holders[place]:
            del self._holders[place], self._identities[place]

    def lookup(self, client: int, now: float) -> int:
        """The identity that `client` is bound to, or 0."""
        return self._table.lookup(self._group, client, now)

    def peek(self, client: int, now: float) -> AffinityEntry | None:
        """The entry of `client`, which this is no use of."""
        return self._table.peek(self._group, client, now)

    @property
    def group(self) -> AffinityGroup:
        """What the table's entries name this one by."""
        return self._group

    def store(self, client: int, identity: int, now: float) -> None:
        self._table.store(self._group, client, identity, now)

    def forget(self, client: int) -> None:
        self._table.forget(self._group, client)

    def close(self) -> None:
        """End every entry at once."""
        self._table.close_group(self._group)
