"""Manifests that the benchmark feeds to svcproxy.

Imports nothing. Invariant: plain Kubernetes objects, accepted by the API server but for their loopback endpoints.
"""

from collections.abc import Sequence
from typing import Any

Manifest = dict[str, Any]

SERVICE_PORT = 80


def service_with_slice(
    name: str, protocol: str, hosts: Sequence[str], port: int, node_port: int | None = None
) -> tuple[Manifest, Manifest]:
    """A Service without selector and the EndpointSlice with its endpoints `hosts`, all on `port`.

    With a `node_port` it is of type NodePort, else ClusterIP.
    """
    entry: Manifest = {"name": "bench", "protocol": protocol, "port": SERVICE_PORT, "targetPort": port}
    if node_port is not None:
        entry["nodePort"] = node_port
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "ClusterIP" if node_port is None else "NodePort", "ports": [entry]},
    }
    endpoint_slice = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}} for host in hosts],
        "ports": [{"name": "bench", "protocol": protocol, "port": port}],
    }
    return service, endpoint_slice
