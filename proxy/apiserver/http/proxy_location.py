"""Where `services/NAME:PORT/proxy` and `pods/NAME:PORT/proxy` lead.

The rules are ResourceLocation of kubernetes pkg/registry/core/service and pkg/registry/core/pod. Invariant: no I/O; of
a Service only an endpoint that is ready is chosen, by chance.
"""

from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple
from urllib.parse import unquote

from proxy.apiserver import status
from proxy.apiserver.document import Document, labels_of
from proxy.apiserver.kinds import ENDPOINT_SLICES, PODS, SERVICES, Kind
from proxy.apiserver.storage.store import Store
from proxy.model.endpoint_slice import SERVICE_NAME_LABEL

_KINDS = {SERVICES.plural: SERVICES, PODS.plural: PODS}
_SCHEMES = ("http", "https")


class ProxyTarget(NamedTuple):
    """What a URL says: an object, the port's name or number if it is there, and the path behind it, as it was sent.
    `prefix` is the URL path that leads to the root of the object's own server, without the last slash."""

    kind: Kind
    namespace: str
    name: str
    port: str
    scheme: str
    path: str
    prefix: str


def proxy_target_of(raw_path: str) -> ProxyTarget | None:
    """The target of `/api/v1/namespaces/A/services/[SCHEME:]NAME[:PORT]/proxy[/PATH]`, or of a pod; else None."""
    parts = raw_path.split("/", 8)
    if len(parts) < 8 or parts[:4] != ["", "api", "v1", "namespaces"] or parts[7] != "proxy":
        return None
    kind, words = _KINDS.get(parts[5]), unquote(parts[6]).split(":")
    if kind is None or len(words) > 3:
        return None
    scheme, name, port = {1: ("", *words, ""), 2: ("", *words), 3: tuple(words)}[len(words)]
    if len(words) == 3 and scheme not in _SCHEMES and scheme:
        return None
    path = f"/{parts[8]}" if len(parts) > 8 else ""
    return ProxyTarget(kind, unquote(parts[4]), name, port, scheme or "http", path, "/".join(parts[:8]))


def location(store: Store, target: ProxyTarget, random: Random) -> str:
    """`http://ADDRESS:PORT`. Raises StatusError (400, 404, 503)."""
    found = store.get(target.kind, (target.namespace, target.name))
    if found is None:
        raise status.not_found(target.kind, target.name)
    if target.kind is PODS:
        address, port = _of_pod(found.document, target)
    else:
        places = list(_of_service(store, found.document, target))
        if not places:
            raise status.service_unavailable(f'no endpoints available for service "{target.name}"')
        address, port = random.choice(places)
    return f"{target.scheme}://{f'[{address}]' if ':' in address else address}{f':{port}' if port else ''}"


def _of_pod(pod: Document, target: ProxyTarget) -> tuple[str, int]:
    address = (pod.get("status") or {}).get("podIP", "")
    if not address:
        raise status.bad_request(f'pod "{target.name}" has no address: status.podIP is empty')
    ports = [
        port["containerPort"]
        for container in (pod.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
    ]
    if target.port and not target.port.isdecimal():
        raise status.bad_request(f'invalid port "{target.port}": the port of a pod is a number')
    return address, int(target.port) if target.port else next(iter(ports), 0)


def _of_service(store: Store, service: Document, target: ProxyTarget) -> Iterator[tuple[str, int]]:
    name = _port_name(service, target)
    for stored in store.objects(ENDPOINT_SLICES).values():
        document = stored.document
        owner = stored.key[0], labels_of(document).get(SERVICE_NAME_LABEL)
        if owner != (target.namespace, target.name) or document.get("addressType") == "FQDN":
            continue
        for port in document.get("ports") or ():
            if (port.get("name") or "") == name and port.get("protocol", "TCP") == "TCP" and port.get("port"):
                yield from ((address, port["port"]) for address in _ready(document.get("endpoints") or ()))


def _port_name(service: Document, target: ProxyTarget) -> str:
    ports = (service.get("spec") or {}).get("ports") or []
    if not target.port.isdecimal():
        return target.port
    found = next((port.get("name", "") for port in ports if port["port"] == int(target.port)), None)
    if found is None:
        raise status.service_unavailable(f'no service port {target.port} found for service "{target.name}"')
    return str(found)


def _ready(endpoints: Iterable[Document]) -> Iterator[str]:
    for endpoint in endpoints:
        if (endpoint.get("conditions") or {}).get("ready") is not False:
            yield from endpoint["addresses"][:1]
