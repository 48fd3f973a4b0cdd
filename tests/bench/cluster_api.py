"""A cluster that is only its API server: many Services and slices over TLS, and then one changed slice after another.

Imports aiohttp and cryptography. Invariant: everything is encoded before the first request, so that what is measured is
the one who follows; the label `sent` of a slice that is changed alone is the monotonic clock, in nanoseconds, as it was
written.

GET /change/NUMBER lets all endpoints of that Service move from each port to the next one or back, and answers with the
monotonic clock, in nanoseconds, before the change was written. GET /bursts/RATE/SECONDS does the same to so many
Services a second, one after the other in a random order, in bursts, and answers with their number when it is over.
"""

import argparse
import asyncio
import ipaddress
import json
import random
import ssl
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SENT_LABEL = "sent"
PORTS = (("http", 80, 8080), ("https", 443, 8443), ("metrics", 9090, 9090))
"""Name, Service port and target port; a changed slice has the next target port, or this one again."""

KUBECONFIG = "kubeconfig"
_LINES_A_WRITE = 50
_FIRST_PAUSE_SECONDS = 2.0
_PAUSE_SECONDS = (0.005, 0.02)
_BURSTS_PER_SECOND = 10
_VERSION = "1000000"
Halves = tuple[bytes, bytes]
"""An event, as it is before and after its resource version."""


class Size(NamedTuple):
    """`services` Services of `ports` ports, at addresses that follow `network`, with a slice of `endpoints` each.
    `served` is where the one endpoint of the first of them really answers; that one never changes. Without it there is
    no such Service."""

    services: int
    endpoints: int
    ports: int
    network: str
    served: tuple[str, int] | None


class Cluster:
    """The API server of a cluster of this size. It sends so many `events` one by one after a moment, and where `bursts`
    may be asked for has encoded what they take."""

    def __init__(self, size: Size, events: int, bursts: bool) -> None:
        self._size = size
        self._events = events
        self._watchers: list[web.StreamResponse] = []
        self._moved: set[int] = set()
        self._asked = 0
        first = int(size.served is not None)
        self._changing = _shuffled(range(first, size.services))
        self._halves = {
            (number, moved): _halves(number, size, moved)
            for number in range(first, size.services if bursts else first)
            for moved in (False, True)
        }
        self._lines = {
            "services": [_line("ADDED", _service(number, size)) for number in range(size.services)],
            "endpointslices": [_line("ADDED", _slice(number, size, 0)) for number in range(size.services)],
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
            self._watchers.append(response)
            await self._change_one_by_one(response)
        await asyncio.Event().wait()
        return response

    async def change(self, request: web.Request) -> web.Response:
        """Change one slice now; the text of the answer is the clock before it was written."""
        number = int(request.match_info["number"])
        line = _line("MODIFIED", _slice(number, self._size, self._move(number)))
        sent = time.monotonic_ns()
        for watcher in self._watchers:
            await watcher.write(line)
        return web.Response(text=str(sent))

    async def change_in_bursts(self, request: web.Request) -> web.Response:
        """Change slices at a rate. A burst that is late is not waited for: the rate is kept."""
        rate, seconds = int(request.match_info["rate"]), int(request.match_info["seconds"])
        loop = asyncio.get_running_loop()
        began = loop.time()
        bursts = seconds * _BURSTS_PER_SECOND
        for number in range(bursts):
            await asyncio.sleep(began + number / _BURSTS_PER_SECOND - loop.time())
            burst = b"".join(self._encoded_change() for _ in range(rate // _BURSTS_PER_SECOND))
            for watcher in self._watchers:
                await watcher.write(burst)
        return web.Response(text=str(bursts * (rate // _BURSTS_PER_SECOND)))

    def _encoded_change(self) -> bytes:
        number = next(self._changing)
        event = self._move(number)
        before, after = self._halves[number, bool(event % 2)]
        return b"%b%d%b" % (before, int(_VERSION) + event, after)

    def _move(self, number: int) -> int:
        """Move the endpoints of a Service; gives the event, which is odd where the ports have moved, and newer than
        any before."""
        self._moved ^= {number}
        self._asked += 2
        return self._events // 2 * 2 + self._asked + (number in self._moved)

    async def _change_one_by_one(self, response: web.StreamResponse) -> None:
        draw = random.Random(1)
        await asyncio.sleep(_FIRST_PAUSE_SECONDS)
        for event in range(1, self._events + 1):
            await asyncio.sleep(draw.uniform(*_PAUSE_SECONDS))
            await response.write(self._changed_slice(draw, event))

    def _changed_slice(self, draw: random.Random, event: int) -> bytes:
        unchanged = int(self._size.served is not None)
        return _line("MODIFIED", _slice(draw.randrange(unchanged, self._size.services), self._size, event))


def _shuffled(numbers: range) -> Iterator[int]:
    """All of them again and again, in one random order."""
    order = list(numbers)
    random.Random(1).shuffle(order)
    while order:
        yield from order


def _halves(number: int, size: Size, moved: bool) -> Halves:
    event = 2 + moved
    before, _, after = _line("MODIFIED", _slice(number, size, event)).partition(str(int(_VERSION) + event).encode())
    return before, after


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


def service_address(network: str, number: int) -> str:
    """The ClusterIP of a Service."""
    return str(ipaddress.IPv4Address(network) + number + 1)


def _service(number: int, size: Size) -> dict[str, Any]:
    address = service_address(size.network, number)
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
            "ports": [
                {"name": name, "port": port, "protocol": "TCP", "targetPort": name}
                for name, port, _ in PORTS[: size.ports]
            ],
        },
        "status": {"loadBalancer": {}},
    }


def _slice(number: int, size: Size, event: int) -> dict[str, Any]:
    labels = {
        "kubernetes.io/service-name": f"service-{number}",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    if event:
        labels[SENT_LABEL] = str(time.monotonic_ns())
    metadata = _metadata(f"service-{number}-abcde", number, labels)
    if event:
        metadata["resourceVersion"] = str(int(_VERSION) + event)
    endpoints = [_endpoint(number, index) for index in range(size.endpoints)]
    ports = [{"name": name, "port": port + event % 2, "protocol": "TCP"} for name, _, port in PORTS[: size.ports]]
    if number == 0 and size.served is not None:
        endpoints = [{"addresses": [size.served[0]], "conditions": {"ready": True}}]
        ports = [{"name": "http", "port": size.served[1], "protocol": "TCP"}]
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
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


async def _serve(size: Size, events: int, bursts: bool, directory: Path) -> None:
    cluster = Cluster(size, events, bursts)
    _certificate(directory / "server.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "server.pem")
    application = web.Application()
    application.router.add_get("/change/{number}", cluster.change)
    application.router.add_get("/bursts/{rate}/{seconds}", cluster.change_in_bursts)
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
    parser.add_argument("--ports", type=int, choices=range(1, len(PORTS) + 1), default=1, help="of each Service")
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--bursts", action="store_true", help="encode what GET /bursts/RATE/SECONDS takes")
    parser.add_argument("--network", default="10.96.0.0", help="the addresses of the Services follow this one")
    parser.add_argument("--served", metavar="ADDRESS:PORT", help="what really answers behind the first Service")
    options = parser.parse_args()
    host, _, port = (options.served or "").partition(":")
    size = Size(
        options.services, options.endpoints, options.ports, options.network, (host, int(port)) if host else None
    )
    asyncio.run(_serve(size, options.events, options.bursts, options.directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
