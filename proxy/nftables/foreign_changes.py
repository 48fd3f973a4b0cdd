"""Hears what other programs do to our tables, from the kernel's notifications.

Invariant: our own changes are told apart by the netlink port that made them. Where notifications were lost, the tables
are read and compared.
"""

import errno
from collections.abc import Callable

from proxy.nftables.attributes import read_attributes, read_text
from proxy.nftables.messages import SUBSYSTEM
from proxy.nftables.netfilter_socket import NetfilterSocket

_NEW_GENERATION = 15
"""The end of a batch: who made it."""

_UNKNOWN = "another program"


class ForeignChanges:
    """`own_port` is the netlink port of who changes the tables for us; `table` is their name."""

    def __init__(self, own_port: int, table: str) -> None:
        self._own_port = own_port
        self._table = table
        self._socket: NetfilterSocket | None = None

    def begin(self) -> None:
        """Listen from now on; what was before is forgotten. Raises OSError."""
        self.close()
        self._socket = NetfilterSocket(listening=True)

    def found(self, is_intact: Callable[[], bool]) -> str:
        """Who changed our tables since the last call, or an empty string. Raises OSError but ENOBUFS."""
        if self._socket is None:
            return ""
        touched = False
        culprit = _UNKNOWN
        try:
            for kind, port, body in self._socket.changes():
                if port == self._own_port or kind & 0xFF00 != SUBSYSTEM:
                    continue
                found = read_attributes(body)
                if kind & 0xFF == _NEW_GENERATION:
                    culprit = read_text(found.get(3, b"")) or culprit
                elif read_text(found.get(1, b"")) == self._table:
                    touched = True
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self.begin()
            touched = touched or not _intact(is_intact)
        return culprit if touched else ""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _intact(is_intact: Callable[[], bool]) -> bool:
    try:
        return is_intact()
    except OSError:
        return False  # There is no table to read.
