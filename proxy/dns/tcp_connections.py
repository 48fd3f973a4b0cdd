"""The connections of DNS over TCP, those of all addresses together.

Invariant: there are never more than `most` for longer than a turn of the loop. Who comes to a full server takes the
place of the connection that has been idle for longest, among those of the address that has the most, so that a crowd
makes room among itself.
"""

import asyncio
from collections import Counter


class TCPConnections:
    """Holds at most `most` connections."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._hosts: dict[asyncio.StreamWriter, str] = {}
        """The one that has been idle for longest comes first."""

    def __len__(self) -> int:
        return len(self._hosts)

    def add(self, writer: asyncio.StreamWriter) -> None:
        """A client has come; somebody else leaves if there are too many."""
        self._hosts[writer] = _host(writer)
        still_open = [(each, host) for each, host in self._hosts.items() if not each.is_closing()]
        if len(still_open) > self.most:
            ((crowd, _),) = Counter(host for _, host in still_open).most_common(1)
            next(each for each, host in still_open if host == crowd).transport.abort()

    def used(self, writer: asyncio.StreamWriter) -> None:
        """The client has asked: it is the last to be idle now."""
        self._hosts[writer] = self._hosts.pop(writer)

    def remove(self, writer: asyncio.StreamWriter) -> None:
        """The connection is over."""
        del self._hosts[writer]


def _host(writer: asyncio.StreamWriter) -> str:
    """The client's address; none of a connection that has ended already."""
    name = writer.get_extra_info("peername")
    return str(name[0]) if name else ""
