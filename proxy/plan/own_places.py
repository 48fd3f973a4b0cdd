"""What this proxy itself answers at: its frontends, and the addresses of its health, metrics, DNS and API.

An endpoint at such a place would send a connection back to the proxy, without end. Kubernetes forbids it as well
(https://kubernetes.io/docs/concepts/services-networking/service/: endpoint IPs must not be cluster IPs of other
Services). Invariant: a wildcard is found under every local address of its family.
"""

from collections.abc import Callable, Collection, Iterable

import msgspec

from proxy.plan.frontend import Frontend, FrontendKey
from proxy.plan.local_addresses import LocalLookup

WILDCARDS = ("0.0.0.0", "::")


class OwnListener(msgspec.Struct, frozen=True):
    """A place where the proxy answers for itself. `what` names it in words for people; the Service `named`
    ("namespace/name") is made to lead there, and may."""

    key: FrontendKey
    what: str
    named: str = ""


class OwnPlaces:
    """Answers who of this proxy is at an endpoint's place. `owner` gives the frontend of a key as of now."""

    def __init__(
        self,
        listeners: Iterable[OwnListener],
        local: LocalLookup,
        owner: Callable[[FrontendKey], Frontend | None],
    ) -> None:
        self._owner = owner
        self._local = local
        self._keys_at: dict[str, int] = {}
        self._listeners: dict[tuple[str, int], list[OwnListener]] = {}
        for listener in listeners:
            self._listeners.setdefault((listener.key.protocol, listener.key.port), []).append(listener)
            self.add(listener.key)

    def has(self, address: str) -> bool:
        """Whether anything of this proxy is at exactly this address."""
        return address in self._keys_at

    def is_local(self, address: str) -> bool:
        """Whether the machine has the address, whatever frontends there are."""
        return self._local.has(address)

    def add(self, key: FrontendKey) -> None:
        """A frontend is there that was not."""
        self._keys_at[key.address] = self._keys_at.get(key.address, 0) + 1

    def remove(self, key: FrontendKey) -> None:
        """A frontend is gone."""
        left = self._keys_at[key.address] - 1
        if left:
            self._keys_at[key.address] = left
        else:
            del self._keys_at[key.address]

    def occupant(self, service: str, protocol: str, address: str, port: int) -> str:
        """What of this proxy an endpoint of the Service ("namespace/name") leads to, in words; empty for none."""
        known = address in self._keys_at
        if not known and not self._local.has(address):
            return ""
        wildcard = WILDCARDS[":" in address]
        for place in (address, wildcard) if known else (wildcard,):
            frontend = self._owner(FrontendKey(protocol, place, port))
            if frontend is not None:
                return f"the {frontend.kind} of {frontend.service}"
        return self._listening(service, protocol, (address, wildcard), port)

    def listener_at(self, service: str, protocol: str, address: str, port: int) -> str:
        """Where this proxy answers for itself at an address that the Service asks for, in words; empty for nowhere."""
        if not self._local.has(address):
            return ""
        return self._listening(service, protocol, (address, WILDCARDS[":" in address]), port)

    def _listening(self, service: str, protocol: str, places: Collection[str], port: int) -> str:
        for listener in self._listeners.get((protocol, port), ()):
            # A socket on :: takes IPv4 as well.
            if (listener.key.address in places or listener.key.address == "::") and listener.named != service:
                return f"this proxy's own {listener.what}"
        return ""
