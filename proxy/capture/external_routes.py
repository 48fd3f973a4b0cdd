"""Makes external and load balancer addresses that no interface has this machine's own, each by a route.

Only those in `externalIPRanges` are touched: a route to an address that another machine has would cut that off.
Invariant: a route is there as long as some frontend has the address, and only routes added here are removed here.
"""

import ipaddress
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from proxy.capture.local_route import change_local_route, is_local
from proxy.logs import fields
from proxy.plan.frontend import FrontendKey

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class ExternalRoutes:
    """`ranges` are CIDRs. `hold` is asked for each frontend that is opened, `release` told of each that goes."""

    def __init__(self, ranges: Iterable[str]) -> None:
        self._ranges = [ipaddress.ip_network(cidr) for cidr in ranges]
        self._users: dict[str, set[FrontendKey]] = {}
        self._made: set[str] = set()
        self._told: set[str] = set()

    def hold(self, key: FrontendKey) -> bool:
        """Whether the frontend's address is in a range and local by a route, made now if need be. It blocks for some
        milliseconds the first time that an address is asked for."""
        if not self._ranges or not self._is_ours(key.address):
            return False
        users = self._users.setdefault(key.address, set())
        if not users and not _apart(lambda: self._make_local(key.address)):
            del self._users[key.address]
            return False
        users.add(key)
        return True

    def release(self, key: FrontendKey) -> None:
        """The frontend is gone, and with the last one of an address its route."""
        users = self._users.get(key.address)
        if users is None:
            return
        users.discard(key)
        if not users:
            del self._users[key.address]
            if key.address in self._made:
                _apart(lambda: self._remove(key.address))

    def remove(self) -> None:
        """Take back every route. It blocks; call it in a thread of its own."""
        for address in tuple(self._made):
            self._remove(address)
        self._users.clear()

    def _is_ours(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._ranges)

    def _make_local(self, address: str) -> bool:
        if is_local(address):
            return True
        try:
            change_local_route("add", address)
        except OSError as error:
            if address not in self._told:
                self._told.add(address)
                _log.warning(
                    f"{address} is not local and cannot be made so: {error.strerror}; "
                    f"run once as root: ip route add local {address} dev lo",
                    extra=fields(address=address),
                )
            return False
        self._made.add(address)
        self._told.discard(address)
        _log.info("external address made local", extra=fields(address=address))
        return True

    def _remove(self, address: str) -> None:
        self._made.discard(address)
        try:
            change_local_route("del", address)
        except OSError as error:
            _log.warning(f"the route to {address} could not be removed: {error.strerror}")


def _apart(work: Callable[[], Result]) -> Result:
    """Do it in a thread of its own, and wait: pyroute2 cannot work where an event loop runs."""
    with ThreadPoolExecutor(1, "routes") as executor:
        return executor.submit(work).result()
