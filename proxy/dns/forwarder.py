"""The forwarder: asks upstream about other zones, remembers what it said, and never asks itself.

Invariant: one exchange at a time for one question, so that neither many clients nor a loop
multiply it; at most so many exchanges at all; every task ends with `close`.
"""

import asyncio
import logging
from collections.abc import Callable
from random import Random

from proxy.dns.record_types import NOERROR, NXDOMAIN, SERVFAIL
from proxy.dns.resolution import Resolution, ResolutionCache
from proxy.dns.settings import USUAL_BOUNDS, SocketAddress
from proxy.dns.upstream_exchange import UpstreamError, ask
from proxy.dns.upstream_message import upstream_query
from proxy.dns.wire_name import WireName

LONGEST_PATIENCE, SHORTEST_PATIENCE = 1.5, 0.5
"""Seconds for one server to answer; each is asked twice."""
_LONGEST_WAIT = 4.5
"""Seconds for all of that, unless there are many servers: the C library waits five."""
_ROUNDS = 2
_LETTERS_FOR_SURE = 10
_MOST_SAID = 100
"""Lines of the log about upstream servers."""

UpstreamKey = tuple[WireName, int, bool, bool]
"""What is asked: name and type, whether DNSSEC's records are wanted (DO), and whether unchecked ones will do (CD)."""

_FAILED = Resolution(SERVFAIL)
_log = logging.getLogger(__name__)


class Forwarder:
    """`servers` gives those to ask now, the preferred one first; `most` questions are asked at a time."""

    def __init__(
        self, servers: Callable[[], tuple[SocketAddress, ...]], random: Random, most: int = USUAL_BOUNDS.exchanges
    ) -> None:
        self._servers = servers
        self._most = most
        self._random = random
        self._cache = ResolutionCache()
        self._asking: dict[UpstreamKey, asyncio.Task[Resolution]] = {}
        self._spellings: set[bytes] = set()
        self._last_good: SocketAddress | None = None
        self._said: set[str] = set()
        self.forwarded = 0
        self.failures = 0
        self.hits = 0

    def remembered(self, key: UpstreamKey) -> Resolution | None:
        """What upstream said, where that may be repeated."""
        known = self._cache.get(key, asyncio.get_running_loop().time())
        self.hits += known is not None
        return known

    async def resolve(self, key: UpstreamKey) -> Resolution:
        """What upstream says; the code of the last failure, or SERVFAIL, where nobody has an answer."""
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= self._most:
                return _FAILED
            task = asyncio.create_task(self._ask(key), name="ask upstream")
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key))
        return await asyncio.shield(task)

    def is_ours(self, spelled: bytes) -> bool:
        """Whether a question that came in is one of our own: upstream leads back to us."""
        return spelled in self._spellings

    async def close(self) -> None:
        """Give up what is being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, key: UpstreamKey) -> Resolution:
        self.forwarded += 1
        failed = _FAILED
        servers = self._order() * _ROUNDS
        for server in servers:
            resolution = await self._ask_one(server, key, patience(len(servers)))
            if resolution is None:
                continue
            if resolution.rcode in (NOERROR, NXDOMAIN):
                self._last_good = server
                self._cache.put(key, key[1], resolution, asyncio.get_running_loop().time())
                return resolution
            failed = resolution
        self.failures += 1
        return failed

    async def _ask_one(self, server: SocketAddress, key: UpstreamKey, seconds: float) -> Resolution | None:
        """The server's word; None where it has none."""
        name, record_type, dnssec_ok, checking_disabled = key
        query = upstream_query(name, record_type, dnssec_ok, checking_disabled, self._random)
        if _is_telling(query.spelling):
            self._spellings.add(query.spelling)
        try:
            return await ask(server, query, seconds)
        except UpstreamError as error:
            self._say_once(f"upstream DNS server {error}")
            return None
        finally:
            self._spellings.discard(query.spelling)

    def _order(self) -> tuple[SocketAddress, ...]:
        servers = self._servers()
        if self._last_good not in servers:
            return servers
        return tuple(sorted(servers, key=lambda server: server != self._last_good))

    def _say_once(self, text: str) -> None:
        """One line for each server and reason; a dead server must not fill the log."""
        if text not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(text)
            _log.warning(text)


def patience(exchanges: int) -> float:
    """Seconds for each of so many exchanges, one after the other."""
    return min(LONGEST_PATIENCE, max(SHORTEST_PATIENCE, _LONGEST_WAIT / exchanges)) if exchanges else 0.0


def _is_telling(spelled: bytes) -> bool:
    """Whether nobody else would spell the name so by chance."""
    return sum(chr(byte).isascii() and chr(byte).isalpha() for byte in spelled) >= _LETTERS_FOR_SURE
