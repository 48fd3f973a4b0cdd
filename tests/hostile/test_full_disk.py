"""A disk without room below the state directory and the access log: told, mended with the next change, no line torn."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.hostile.accounts import sample
from tests.hostile.checked_services import SETTINGS, STREAMS, CheckedServices
from tests.hostile.private_mounts import SmallDisk, small_disk
from tests.system.harness.eventually import eventually
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import Manifest, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import HEALTH_PORT, StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
NO_ROOM = "No space left on device"
NO_ROOM_IN_DATABASE = "full"


@pytest.fixture
def disk(tmp_path: Path) -> SmallDisk:
    return small_disk(tmp_path / "disk", 512)


def problems(proxy: Svcproxy) -> str:
    return proxy.get("/api/v1/problems")[1]


def cluster_ip_service(name: str) -> Manifest:
    """A Service whose address must be remembered."""
    return service(name, port(80))


def as_json(manifest: Manifest, annotations: Mapping[str, str]) -> str:
    return json.dumps({**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}})


def test_addresses_given_out_on_a_full_disk_are_served_told_and_remembered_later(
    svcproxy: StartSvcproxy, checked_services: CheckedServices, disk: SmallDisk
) -> None:
    settings = {**SETTINGS, "stateDirectory": str(disk.path / "state")}
    proxy = svcproxy(checked_services.manifests, configuration=settings, under=disk.under)
    checked_services.begin(proxy)
    disk.fill(proxy)
    proxy.manifests.put(cluster_ip_service("more"))
    eventually(lambda: NO_ROOM in problems(proxy), "the problem")
    address = proxy.service("more")["service"]["spec"]["clusterIP"]
    checked_services.use(HERE)
    assert proxy.get("/readyz", HEALTH_PORT)[0] == 200
    state = disk.within(proxy) / "state"
    assert address not in (state / "ledger.json").read_text()
    assert [path.name for path in state.iterdir() if path.name.endswith(".new")] == []
    disk.make_room(proxy)
    proxy.manifests.put(cluster_ip_service("most"))
    eventually(lambda: NO_ROOM not in problems(proxy), "the problem gone")
    assert address in (state / "ledger.json").read_text()
    checked_services.use(HERE)
    proxy.manifests.remove(cluster_ip_service("more"), cluster_ip_service("most"))
    checked_services.settle()


def test_the_embedded_api_refuses_what_it_cannot_keep_and_serves_what_it_has(
    tmp_path: Path, svcproxy: StartSvcproxy, places: Places, checked_services: CheckedServices, disk: SmallDisk
) -> None:
    flags = ("--standalone", f"--api-bind-address={places.address()}:6443")
    settings = {**SETTINGS, "stateDirectory": str(disk.path / "state")}
    proxy = svcproxy((), *flags, configuration=settings, under=disk.under)
    kubectl = Kubectl(tmp_path, disk.within(proxy) / "state" / "kubeconfig")
    kubectl.apply(*checked_services.manifests)
    proxy.wait_until_listening("UDP", "0.0.0.0", checked_services.datagram_port)
    proxy.services()
    checked_services.begin(proxy)
    disk.fill(proxy)
    large = as_json(cluster_ip_service("large"), annotations={"text": "x" * 100_000})
    assert NO_ROOM_IN_DATABASE in kubectl.refused("create", "-f", "-", stdin=large)
    checked_services.use(HERE)
    assert "streams" in kubectl("get", "services")
    disk.make_room(proxy)
    kubectl("create", "-f", "-", stdin=large)
    checked_services.use(HERE)
    kubectl("delete", "service", "large")
    checked_services.settle()


@pytest.mark.parametrize("workers", [0, 2])
def test_no_line_of_an_access_log_is_torn(
    svcproxy: StartSvcproxy, checked_services: CheckedServices, disk: SmallDisk, workers: int
) -> None:
    path = disk.path / "access.log"
    settings = {**SETTINGS, "workers": workers}
    proxy = svcproxy(checked_services.manifests, "--access-log", str(path), configuration=settings, under=disk.under)
    checked_services.begin(proxy)
    disk.fill(proxy)
    checked_services.use(HERE)
    eventually(lambda: sample(proxy, "dropped_access_log_lines_total") >= STREAMS, "lines dropped")
    disk.make_room(proxy)
    checked_services.use(HERE)
    lines = disk.within(proxy) / "access.log"

    def told() -> list[str]:
        text = lines.read_text()
        assert not text or text.endswith("\n")
        return [json.loads(line)["service"] for line in text.splitlines()]

    eventually(lambda: sum("streams" in each for each in told()) >= STREAMS, "the lines of the second time")
    checked_services.settle()
