"""The Service myapp that every walk through Services begins with, and five pods of it.

Invariant: the pods' names are what their servers answer, so that a curl loop shows who serves.
"""

from collections import Counter

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import curl
from tests.system.harness.eventually import eventually
from tests.system.harness.held import held_endpoints
from tests.system.harness.manifests import Manifest, pod, port, service
from tests.system.harness.svcproxy import Svcproxy

LABELS = {"app": "myapp", "release": "canary"}
ROUNDS = 20


class MyApp:
    """`service` and `pods` are manifests; the Service answers on `node_port` of every address."""

    def __init__(self, http_backends: StartBackends, node_port: int, service_port: int = 80) -> None:
        self.node_port = node_port
        self.backends = http_backends(*(f"myapp-{letter}" for letter in "abcde"))
        ports = port(service_port, "http", nodePort=node_port)
        self.service: Manifest = service("myapp", ports, selector=LABELS, type="NodePort")
        self.pods: list[Manifest] = [
            pod(each.name, each.address, {"http": each.port}, LABELS) for each in self.backends
        ]

    @property
    def names(self) -> set[str]:
        return {each.name for each in self.backends}

    def loop(self) -> Counter[str]:
        """How often each pod answered a user's curl loop, made finite and without its pause."""
        url = f"http://127.0.0.1:{self.node_port}/hostname.html"
        return Counter(curl(url).strip() for _ in range(ROUNDS))

    def wait_until_led_to(self, proxy: Svcproxy, names: set[str]) -> None:
        """Until the proxy leads to just these pods."""
        places = {f"{each.address}:{each.port}" for each in self.backends if each.name in names}
        eventually(lambda: held_endpoints(proxy, "myapp") == places, f"endpoints {sorted(names)}")
