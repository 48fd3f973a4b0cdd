"""IPAddresses and ServiceCIDRs: what is given out, and the ranges that it is given out of (networking.k8s.io).

Invariant: pure; there is one IPAddress for each ClusterIP of a Service, and it names the Service.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from proxy.apiserver.document import Document, Key, Stored
from proxy.apiserver.kinds import IP_ADDRESSES, SERVICE_CIDRS, Kind
from proxy.apiserver.storage.store import Write
from proxy.apiserver.writes.object_meta import kept_up
from proxy.model.service import Service

_FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
_MANAGER_LABEL = "ipaddress.kubernetes.io/managed-by"
_MANAGER = "ipallocator.k8s.io"

Get = Callable[[Kind, Key], Stored | None]


def address_writes(
    before: Iterable[Service], after: Iterable[Service], get: Get, new_uid: Callable[[], str], now: str
) -> Iterator[Write]:
    """What to write where the Services `before` become those `after`."""
    owners = {address: service.key for service in after for address in _addresses(service)}
    gone = {address for service in before for address in _addresses(service)} - owners.keys()
    for address in sorted(gone):
        if get(IP_ADDRESSES, ("", address)) is not None:
            yield Write(IP_ADDRESSES, ("", address), None, made=True)
    for address, owner in sorted(owners.items()):
        yield from _kept(IP_ADDRESSES, address, _ip_address(address, owner), get, new_uid, now)


def range_writes(ranges: Iterable[str], get: Get, new_uid: Callable[[], str], now: str) -> Iterator[Write]:
    """The ServiceCIDR of the service ranges."""
    ready = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
    stored = get(SERVICE_CIDRS, ("", "kubernetes"))
    known = (stored.document.get("status") or {}).get("conditions", [{}])[0] if stored else {}
    content = {
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(ranges)},
        "status": {"conditions": [{**ready, "lastTransitionTime": known.get("lastTransitionTime", now)}]},
    }
    yield from _kept(SERVICE_CIDRS, "kubernetes", content, get, new_uid, now)


def _kept(kind: Kind, name: str, content: Document, get: Get, new_uid: Callable[[], str], now: str) -> Iterator[Write]:
    stored = get(kind, ("", name))
    current = stored.document if stored else None
    document = kept_up(kind, content, current, new_uid(), now)
    if document is not current:
        yield Write(kind, ("", name), document, made=True)


def _ip_address(address: str, owner: Key) -> Document:
    labels: Mapping[str, str] = {_FAMILY_LABEL: "IPv6" if ":" in address else "IPv4", _MANAGER_LABEL: _MANAGER}
    namespace, name = owner
    parent = {"resource": "services", "namespace": namespace, "name": name}
    return {"metadata": {"name": address, "labels": dict(labels)}, "spec": {"parentRef": parent}}


def _addresses(service: Service) -> list[str]:
    return [address for address in service.spec.cluster_ips if address != "None"]
