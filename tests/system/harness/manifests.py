"""Kubernetes objects as plain dictionaries, and a directory of them that a running proxy watches.

Invariant: an object's file is replaced whole, by rename, so that no reader sees half of it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]


def service(name: str, *ports: Mapping[str, object], **spec: object) -> Manifest:
    """A Service, of type ClusterIP unless `spec` says otherwise; `spec` has the API's own names."""
    return _named("v1", "Service", name) | {"spec": {"ports": list(ports), **spec}}


def port(number: int, target: int | str | None = None, **fields: object) -> Manifest:
    """An entry of spec.ports; `fields` has the API's own names, such as protocol and nodePort."""
    return {"port": number, **({} if target is None else {"targetPort": target}), **fields}


def pod(
    name: str,
    address: str,
    ports: Mapping[str, int],
    labels: Mapping[str, str],
    *,
    ready: bool = True,
    protocol: str = "TCP",
) -> Manifest:
    """A Pod with one container, whose `ports` are number by name."""
    container_ports = [
        {"name": port_name, "containerPort": number, "protocol": protocol} for port_name, number in ports.items()
    ]
    status = {
        "phase": "Running",
        "podIP": address,
        "conditions": [{"type": "Ready", "status": str(ready)}],
    }
    return _named("v1", "Pod", name, labels=dict(labels)) | {
        "spec": {"containers": [{"name": "main", "ports": container_ports}]},
        "status": status,
    }


def endpoint_slice(
    of: str, endpoints: Sequence[str | Mapping[str, object]], *ports: Mapping[str, object], suffix: str = "1"
) -> Manifest:
    """An IPv4 EndpointSlice of the Service `of`; an endpoint is an address, or the API's own form of one."""
    entries = [{"addresses": [each]} if isinstance(each, str) else dict(each) for each in endpoints]
    return _named(
        "discovery.k8s.io/v1", "EndpointSlice", f"{of}-{suffix}", labels={"kubernetes.io/service-name": of}
    ) | {
        "addressType": "IPv4",
        "endpoints": entries,
        "ports": [{"name": "", "protocol": "TCP", **each} for each in ports],
    }


def annotated(manifest: Manifest, **annotations: str) -> Manifest:
    """The same object with svcproxy.io/ annotations; an underscore in a name stands for its dash."""
    own = {f"svcproxy.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return manifest | {"metadata": manifest["metadata"] | {"annotations": own}}


def _named(api_version: str, kind: str, name: str, **metadata: object) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default", **metadata}}


class ManifestDirectory:
    """A directory with one JSON file for each object. JSON is YAML, so this is what a user's directory looks like."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def put(self, *manifests: Manifest) -> None:
        """Write objects, new or changed."""
        for manifest in manifests:
            unfinished = self.path / ".unfinished"
            unfinished.write_text(json.dumps(manifest, indent=2))
            unfinished.rename(self.file_of(manifest))

    def remove(self, *manifests: Manifest) -> None:
        """Delete objects' files."""
        for manifest in manifests:
            self.file_of(manifest).unlink()

    def file_of(self, manifest: Manifest) -> Path:
        """Where an object is kept."""
        return self.path / f"{manifest['kind'].lower()}-{manifest['metadata']['name']}.json"
