"""A running svcproxy, started as users start it, on manifests of the test's own.

Invariant: it is ready when its constructor returns, unless the test asked not to wait.
"""

import http.client
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil

from tests.system.harness.manifests import Manifest, ManifestDirectory
from tests.system.harness.places import Places
from tests.system.harness.process import Process

METRICS_PORT = 10249
HEALTH_PORT = 10256


def environment_in(directory: Path) -> dict[str, str]:
    """The environment of a program that may write below `directory` alone."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("home", "temporary"):
        (directory / name).mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory / "home"),
        "XDG_STATE_HOME": str(directory / "home"),
        "TMPDIR": str(directory / "temporary"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "PYTHONUNBUFFERED": "1",
        # Nobody here trusts the machine's authorities, and to read them takes a tenth of a start.
        "SSL_CERT_FILE": os.devnull,
    }


def left_behind(directory: Path) -> list[Path]:
    """What a program wrote that it should not have, or should have removed."""
    return [path for name in ("home", "temporary") for path in (directory / name).rglob("*")]


class Svcproxy(Process):
    """`svcproxy run` as a process. `manifests` is the directory it follows, `status_address` where its pages are."""

    def __init__(
        self,
        directory: Path,
        places: Places,
        flags: Sequence[str],
        configuration: Mapping[str, object],
        manifests: ManifestDirectory,
        under: Sequence[str] = (),
    ) -> None:
        self.manifests = manifests
        self.status_address = places.address()
        config_file = directory / "svcproxy.yaml"
        config_file.write_text(json.dumps(self._configuration(directory, places, configuration)))
        super().__init__(
            [*under, sys.executable, "-m", "proxy", "run", "--config", str(config_file), *flags],
            directory,
            environment_in(directory),
        )

    def _configuration(self, directory: Path, places: Places, settings: Mapping[str, object]) -> dict[str, object]:
        return {
            "apiVersion": "svcproxy.io/v1alpha1",
            "kind": "ProxyConfiguration",
            "manifests": [str(self.manifests.path)],
            "stateDirectory": str(directory / "state"),
            "serviceClusterIPRange": [places.service_range],
            "nodePortRange": places.node_port_range,
            "metricsBindAddress": f"{self.status_address}:{METRICS_PORT}",
            "healthzBindAddress": f"{self.status_address}:{HEALTH_PORT}",
            "logFormat": "json",
            # One, so that what follows one after the other does so; tests/system/test_workers.py has more, and none.
            "workers": 1,
            **settings,
        }

    def wait_until_serving(self) -> None:
        """Until the first state listens."""
        self.wait_for_event("serving")

    def wait_until_listening(self, protocol: str, address: str, port: int) -> None:
        """Until the frontend was opened."""
        self.wait_for_event("listening", frontend=f"{address}:{port}/{protocol}")

    def workers(self) -> list[psutil.Process]:
        """The processes that forward, by their numbers."""
        found = {
            int(word.removeprefix("worker=")): child
            for child in psutil.Process(self.pid).children()
            for word in child.cmdline()
            if word.startswith("worker=")
        }
        return [found[number] for number in sorted(found)]

    def service(self, name: str) -> dict[str, Any]:
        """What the proxy reports of a Service in the namespace default, in force by now."""
        return next(each for each in self.services() if each["service"]["metadata"]["name"] == name)

    def services(self) -> list[dict[str, Any]]:
        """What the proxy reports of its Services, once that is in force: a question to the workers is answered by each
        of them after everything that it was told before."""
        status, body = self.get("/api/v1/services")
        assert status == 200
        assert self.get("/api/v1/connections?limit=1")[0] == 200
        reported: list[dict[str, Any]] = json.loads(body)["services"]
        return reported

    def endpoints(self, name: str) -> dict[str, int]:
        """The weights of a Service's endpoints by `address:port`, of all its pools together."""
        return {
            f"{endpoint['address']}:{endpoint['port']}": endpoint["weight"]
            for pool in self.service(name)["pools"]
            for endpoint in pool["endpoints"]
        }

    def get(self, path: str, port: int = METRICS_PORT) -> tuple[int, str]:
        """Status and body of a page of the metrics address, or with HEALTH_PORT of the health address."""
        connection = http.client.HTTPConnection(self.status_address, port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


class StartSvcproxy(Protocol):
    """Starts `svcproxy run` on `manifests`, with extra flags and configuration keys; ready unless `wait` is false.

    `under` is a command that runs the command that follows it, in its own process.
    """

    def __call__(
        self,
        manifests: Iterable[Manifest] | ManifestDirectory = (),
        *flags: str,
        configuration: Mapping[str, object] | None = None,
        wait: bool = True,
        under: Sequence[str] = (),
    ) -> Svcproxy: ...
