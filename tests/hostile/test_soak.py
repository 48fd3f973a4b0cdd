"""Services that come and go all day leave nothing behind in a worker."""

from contextlib import ExitStack

from tests.lane import free_port
from tests.system.harness.backends import echo_backend
from tests.system.harness.clients import ask
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

SERVICES = 20
ENDPOINTS = 100
ROUNDS = 12
WARM_UP_ROUNDS = 4
ROOM = 4 * 2**20
"""Bytes. A worker that kept the frontends with their endpoints would grow by more than four times as much."""


def cluster_ip(places: Places, number: int) -> str:
    return f"{places.service_range.rpartition('.')[0]}.{145 + number}"


def generation(number: int, places: Places, backend_port: int) -> list[Manifest]:
    """Services of new names with many endpoints, TCP and UDP beside each other."""
    network = places.service_range.rpartition(".")[0]
    endpoints = [f"{network}.{each + 1}" for each in range(ENDPOINTS)]
    ports = [port(80, name="web"), port(53, name="dns", protocol="UDP")]
    targets = [{"name": "web", "port": backend_port}, {"name": "dns", "port": backend_port, "protocol": "UDP"}]
    manifests: list[Manifest] = []
    for each in range(SERVICES):
        name = f"soak-{number}-{each}"
        manifests.append(service(name, *ports, clusterIP=cluster_ip(places, each)))
        manifests.append(endpoint_slice(name, endpoints, *targets))
    return manifests


def names(proxy: Svcproxy) -> set[str]:
    """The Services that every worker knows by now."""
    return {each["service"]["metadata"]["name"] for each in proxy.services()}


def unique_bytes(proxy: Svcproxy) -> int:
    (worker,) = proxy.workers()
    return int(worker.memory_full_info().uss)


def test_a_worker_forgets_the_frontends_that_went(svcproxy: StartSvcproxy, places: Places) -> None:
    proxy = svcproxy()
    before = 0
    with ExitStack() as stack:
        backend = stack.enter_context(echo_backend("a", "0.0.0.0", free_port()))
        for number in range(ROUNDS):
            manifests = generation(number, places, backend.port)
            proxy.manifests.put(*manifests)
            last = f"soak-{number}-{SERVICES - 1}"
            eventually(lambda last=last: last in names(proxy), "the new Services")  # type: ignore[misc]
            assert {ask(cluster_ip(places, each), 80) for each in range(SERVICES)} == {"a"}
            proxy.manifests.remove(*manifests)
            eventually(lambda: not names(proxy), "their end")
            if number == WARM_UP_ROUNDS:
                before = unique_bytes(proxy)
        assert unique_bytes(proxy) - before < ROOM
