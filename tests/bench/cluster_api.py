"""A cluster that is only its API server: many Services and slices over TLS, and then one changed slice after another.

Imports aiohttp and cryptography. Invariant: everything is encoded before the first request, so that what is measured is
the one who follows; the label `sent` of a changed slice is the monotonic clock, in nanoseconds, as it was written.
"""

import argparse
import asyncio
import ipaddress
import json
import random
import ssl
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SENT_LABEL = "sent"
KUBECONFIG = "kubeconfig"
_LINES_A_WRITE = 50
_PAUSE_SECONDS = (0.005, 0.02)
_VERSION = "1000000"


class Cluster:
    """`services` Services with a slice of `endpoints` each."""

    def __init__(self, services: int, endpoints: int, events: int) -> None:
        self._endpoints = endpoints
        self._events = events
        self._services = services
        self._lines = {
            "services": [_line("ADDED", _service(number)) for number in range(services)],
            "endpointslices": [_line("ADDED", _slice(number, endpoints, 0)) for number in range(services)],
            "pods": [],
            "nodes": [_line("ADDED", _node())],
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Every list is a streaming list; of the slices, changes follow until all events were sent."""
        plural = request.path.rpartition("/")[2]
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        lines = self._lines[plural]
        for start in range(0, len(lines), _LINES_A_WRITE):
            await response.write(b"".join(lines[start : start + _LINES_A_WRITE]))
        metadata = {"resourceVersion": _VERSION, "annotations": {"k8s.io/initial-events-end": "true"}}
        await response.write(_line("BOOKMARK", {"metadata": metadata}))
        if plural == "endpointslices":
            await self._change_slices(response)
        await asyncio.Event().wait()
        return response

    async def _change_slices(self, response: web.StreamResponse) -> None:
        draw = random.Random(1)
        await asyncio.sleep(2.0)
        for event in range(1, self._events + 1):
            await asyncio.sleep(draw.uniform(*_PAUSE_SECONDS))
            await response.write(_line("MODIFIED", _slice(draw.randrange(self._services), self._endpoints, event)))


def _line(event: str, item: dict[str, Any]) -> bytes:
    return json.dumps({"type": event, "object": item}, separators=(",", ":")).encode() + b"\n"


def _metadata(name: str, version: int, labels: dict[str, str]) -> dict[str, Any]:
    """Metadata as wordy as it is in a cluster."""
    return {
        "name": name,
        "namespace": f"team-{version % 50}",
        "uid": f"6f1ed002-0a4c-4a0f-9d5e-{version:012d}",
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": labels,
        "annotations": {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": "default"},
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {}}}}],
    }


def _service(number: int) -> dict[str, Any]:
    address = str(ipaddress.IPv4Address("10.96.0.0") + number + 1)
    return {
        "metadata": _metadata(f"service-{number}", number, {"app.kubernetes.io/name": f"app-{number}"}),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "selector": {"app.kubernetes.io/name": f"app-{number}"},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
        },
        "status": {"loadBalancer": {}},
    }


def _slice(number: int, endpoints: int, event: int) -> dict[str, Any]:
    labels = {
        "kubernetes.io/service-name": f"service-{number}",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    if event:
        labels[SENT_LABEL] = str(time.monotonic_ns())
    metadata = _metadata(f"service-{number}-abcde", number, labels)
    if event:
        metadata["resourceVersion"] = str(int(_VERSION) + event)
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080 + event % 2, "protocol": "TCP"}],
        "endpoints": [_endpoint(number, index) for index in range(endpoints)],
    }


def _endpoint(number: int, index: int) -> dict[str, Any]:
    pod = number * 100 + index
    return {
        "addresses": [str(ipaddress.IPv4Address("10.128.0.0") + pod)],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{pod % 500}.example.internal",
        "targetRef": {
            "kind": "Pod",
            "namespace": f"team-{number % 50}",
            "name": f"app-{number}-6d4cf56db6-{index:05d}",
            "uid": f"0b8f9a3e-5c1b-4e58-8a3a-{pod:012d}",
        },
        "zone": f"region-1{'abc'[pod % 3]}",
    }


def _node() -> dict[str, Any]:
    return {"metadata": {"name": "node-0", "labels": {"topology.kubernetes.io/zone": "region-1a"}}}


def _certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))


def _kubeconfig(directory: Path, port: int) -> None:
    """Written last, and whole: its presence says that the server answers."""
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(directory / "server.pem")}
    document = {
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "bench", "user": {"token": "bench"}}],
    }
    draft = directory / "kubeconfig.draft"
    draft.write_text(yaml.safe_dump(document))
    draft.rename(directory / KUBECONFIG)


async def _serve(cluster: Cluster, directory: Path) -> None:
    _certificate(directory / "server.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "server.pem")
    application = web.Application()
    application.router.add_get("/{path:.*}", cluster.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    _kubeconfig(directory, runner.addresses[0][1])
    await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="Serves a large cluster's Services and slices.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--services", type=int, required=True)
    parser.add_argument("--endpoints", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    options = parser.parse_args()
    cluster = Cluster(options.services, options.endpoints, options.events)
    asyncio.run(_serve(cluster, options.directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
