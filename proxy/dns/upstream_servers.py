"""Who is asked about other zones: the configured servers, or those that the system has at this moment.

Invariant: never an address of our own; /etc/resolv.conf is read again when it has changed, since a laptop changes
networks.
"""

import logging
import os
from collections.abc import Sequence

from proxy.dns.resolv_conf import name_servers, without_ourselves
from proxy.dns.settings import DNSSettings, SocketAddress

RESOLV_CONF = "/etc/resolv.conf"

_log = logging.getLogger(__name__)


class UpstreamServers:
    """Calling it gives the servers to ask now. `own` are the addresses that we answer on."""

    def __init__(self, settings: DNSSettings, path: str = RESOLV_CONF) -> None:
        self._configured = settings.upstream
        self._path = path
        self._version: tuple[int, int] | None = None
        self._servers: tuple[SocketAddress, ...] = ()
        self._own: tuple[SocketAddress, ...] = ()

    def serve_at(self, own: Sequence[SocketAddress]) -> None:
        """Tell where we answer."""
        self._own = tuple(own)
        self._version = None

    def __call__(self) -> tuple[SocketAddress, ...]:
        version = self._current_version()
        if version != self._version:
            self._version = version
            self._servers = self._without_ourselves(self._named())
        return self._servers

    def _current_version(self) -> tuple[int, int]:
        if isinstance(self._configured, tuple):
            return (0, 0)
        try:
            status = os.stat(self._path)
        except OSError:
            return (0, 0)
        return status.st_mtime_ns, status.st_ino

    def _named(self) -> tuple[SocketAddress, ...]:
        if isinstance(self._configured, tuple):
            return self._configured
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                return name_servers(file.read())
        except OSError:
            return ()

    def _without_ourselves(self, servers: tuple[SocketAddress, ...]) -> tuple[SocketAddress, ...]:
        others = without_ourselves(servers, self._own)
        for host, port in set(servers) - set(others):
            source = "dns.upstream" if isinstance(self._configured, tuple) else self._path
            _log.warning(f"{source} names {host}:{port}, where this proxy itself answers: it is not asked")
        return others
