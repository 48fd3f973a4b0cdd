"""Services and EndpointSlices for the tests of DNS."""

from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.dns.name_index import NameIndex
from proxy.model.changes import Changes
from proxy.model.endpoint_slice import SERVICE_NAME_LABEL, EndpointSlice
from proxy.model.service import Service


def service(
    name: str, *addresses: str, ports: Iterable[tuple[str, str, int]] = (), namespace: str = "default", **spec: Any
) -> Service:
    """Ports are (name, protocol, number); the address "None" makes a headless Service."""
    entries = [{"name": port_name, "protocol": protocol, "port": number} for port_name, protocol, number in ports]
    given = {"clusterIP": addresses[0], "clusterIPs": list(addresses)} if addresses else {}
    document = {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ClusterIP", "ports": entries, **given, **spec},
    }
    return msgspec.convert(document, Service)


def endpoint(address: str, *, hostname: str = "", ready: bool | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"addresses": [address], "conditions": {} if ready is None else {"ready": ready}}
    return made | ({"hostname": hostname} if hostname else {})


def named_port(name: str, number: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"name": name, "port": number, "protocol": protocol}


def endpoint_slice(
    of: str,
    name: str,
    endpoints: Iterable[dict[str, Any]],
    ports: Iterable[dict[str, Any]] = (),
    family: str = "IPv4",
    namespace: str = "default",
) -> EndpointSlice:
    document = {
        "metadata": {"name": name, "namespace": namespace, "labels": {SERVICE_NAME_LABEL: of}},
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": list(ports),
    }
    return msgspec.convert(document, EndpointSlice)


def crowd(number: int) -> NameIndex:
    """A headless Service with so many endpoints."""
    index = NameIndex("cluster.local", ("10.96.0.0/12",))
    each = [endpoint(f"10.244.{i // 250}.{i % 250 + 1}") for i in range(number)]
    slices = (endpoint_slice("pods", "s", each, [named_port("http", 8080)]),)
    index.apply(
        Changes(services=(service("pods", "None"), alias("alias", "pods.default.svc.cluster.local")), slices=slices)
    )
    return index


def alias(name: str, target: str) -> Service:
    return service(name, type="ExternalName", externalName=target.removesuffix("."))
