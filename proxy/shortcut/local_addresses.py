"""The machine's own addresses in the map by which a node port on every address is found.

Invariant: an address that has gone leads to no node port within PAUSE seconds of `refresh` calls.
"""

import math
from collections.abc import Callable, Iterable

from proxy.bpf.bpf_error import BpfError
from proxy.shortcut.layout import LOCAL_VALUE_SIZE, local_key
from proxy.shortcut.maps import Maps

PAUSE = 1.0
_VALUE = b"\x01".ljust(LOCAL_VALUE_SIZE, b"\0")


class LocalAddresses:
    """`read` gives the addresses as of now."""

    def __init__(self, maps: Maps, read: Callable[[], Iterable[str]]) -> None:
        self._map = maps.local
        self._read = read
        self._known: frozenset[str] = frozenset()
        self._looked = -math.inf

    def refresh(self, now: float) -> None:
        """Look again, unless that was done a moment ago. Addresses that do not fit are left to the listeners."""
        if now < self._looked + PAUSE:
            return
        self._looked = now
        found = frozenset(self._read())
        if found == self._known:
            return
        for address in self._known - found:
            self._map.delete(local_key(address))
        try:
            self._map.update_all({local_key(address): _VALUE for address in found - self._known})
        except BpfError:
            # Those that did not fit are served by the listeners.
            found = frozenset(each for each in found if self._map.value_of(local_key(each)) is not None)
        self._known = found
