"""Fixtures of the hostile machines: small buffers, few descriptors, little memory, a bad network.

Invariant: what a fixture makes scarce is scarce for the processes of the test alone, and as it was afterwards.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hostile.checked_services import CheckedServices
from tests.hostile.memory_cgroup import MemoryCgroup, memory_cgroup
from tests.hostile.network import Network
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.passage import BACKEND_PORT
from tests.system.harness.places import Places

FewFiles = Callable[[int], tuple[str, ...]]
NodePorts = Callable[..., tuple[list[Manifest], int]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("system")


@pytest.fixture
def network(network_namespace: None) -> Iterator[Network]:
    """A network namespace of the test's own; processes and threads that it starts are in it as well."""
    with ExitStack() as stack:
        yield Network(stack)


@pytest.fixture
def memory() -> Iterator[MemoryCgroup]:
    """A memory cgroup without a limit yet."""
    with memory_cgroup() as cgroup:
        yield cgroup


@pytest.fixture
def few_files() -> FewFiles:
    """`under=few_files(64)` gives the program so many descriptors and no more."""
    return lambda limit: ("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh")


@pytest.fixture
def checked_services(places: Places) -> Iterator[CheckedServices]:
    """A TCP and a UDP Service, with their backends."""
    services = CheckedServices(places, places.address())
    with services.backends():
        yield services


@pytest.fixture
def node_ports(places: Places) -> NodePorts:
    """The manifests of a NodePort Service with backends at these addresses, port 7007, and its node port."""

    def make(name: str, *addresses: str, protocol: str = "TCP") -> tuple[list[Manifest], int]:
        number = places.node_port()
        return [
            service(name, port(80, protocol=protocol, nodePort=number), type="NodePort"),
            endpoint_slice(name, addresses, {"port": BACKEND_PORT, "protocol": protocol}),
        ], number

    return make
