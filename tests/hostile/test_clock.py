"""A clock that steps back and forth: spans are counted by another one, so nothing stops, ends early or is blamed."""

import http.client
import json
import mmap
import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.hostile.checked_services import SETTINGS, CheckedServices
from tests.hostile.conftest import NodePorts
from tests.system.harness.clients import connect
from tests.system.harness.svcproxy import HEALTH_PORT, METRICS_PORT, StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
YEAR = 365 * 86400.0
ROOT = Path(__file__).parents[2]


class SteppedClock:
    """The time of day of programs that are started `under` it: the machine's, and so many seconds."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._cell = mmap.mmap(file.fileno(), 8)
        steps = Path(__file__).parent / "stepped_clock"
        self.under = ("env", f"PYTHONPATH={steps}{os.pathsep}{ROOT}", f"STEPPED_CLOCK={path}")

    def step_to(self, seconds: float) -> None:
        """From now on the clock is off by so many seconds."""
        self._cell[:] = struct.pack("d", seconds)

    def close(self) -> None:
        self._cell.close()


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[SteppedClock]:
    clock = SteppedClock(tmp_path / "clock")
    yield clock
    clock.close()


def year_of(proxy: Svcproxy) -> int:
    """By the proxy's clock."""
    text = json.loads(proxy.get("/healthz", HEALTH_PORT)[1])["currentTime"]
    return datetime.fromisoformat(text).astimezone(UTC).year


def frames(proxy: Svcproxy, count: int) -> None:
    """Wait for so many frames of the live page."""
    connection = http.client.HTTPConnection(proxy.status_address, METRICS_PORT, timeout=20)
    connection.request("GET", "/api/v1/stream")
    response = connection.getresponse()
    for _ in range(count):
        while not response.readline().startswith(b"data:"):
            pass
    connection.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_everything_goes_on_whatever_time_it_is(
    svcproxy: StartSvcproxy, checked_services: CheckedServices, node_ports: NodePorts, clock: SteppedClock, workers: int
) -> None:
    settings = {**SETTINGS, "workers": workers, "workerTimeout": "2s"}
    proxy = svcproxy(checked_services.manifests, configuration=settings, under=clock.under)
    checked_services.begin(proxy)
    now = year_of(proxy)
    with connect(HERE, checked_services.stream_port) as held:
        for number, years in enumerate((-10, 10, -30, 0)):
            clock.step_to(years * YEAR)
            assert abs(year_of(proxy) - now - years) <= 1
            held.sendall(b"after the step")
            assert held.recv(100) == b"after the step"
            checked_services.use(HERE)
            frames(proxy, 2)
            manifests, _ = node_ports(f"at-step-{number}", checked_services.backend)
            proxy.manifests.put(*manifests)
            proxy.wait_for_event("listening", service=f"default/at-step-{number}")
            assert proxy.get("/readyz", HEALTH_PORT)[0] == 200
    reports = json.loads(proxy.get("/api/v1/workers")[1])["workers"]
    assert [report["restarts"] for report in reports] == [0] * max(1, workers)
