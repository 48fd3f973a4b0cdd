"""Fixtures of the system tests: the program as a process, places for it, backends behind it.

Invariant: when a test is over, no process, port or file of it is left, or the test fails.
"""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.namespace_link import linked_programs
from tests.system.harness.backends import StartBackends
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.myapp import MyApp
from tests.system.harness.places import Places
from tests.system.harness.standalone import Standalone
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

OpenFiles = Callable[[int], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("system")


@pytest.fixture
def open_files() -> Iterator[OpenFiles]:
    """Lets the test have so many open files, or skips it; the limit is put back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def need(number: int) -> None:
        if hard < number:
            pytest.skip(f"the hard limit on open files is {hard}, {number} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))

    yield need
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def standalone(tmp_path: Path, places: Places, svcproxy: StartSvcproxy) -> Svcproxy:
    """A running svcproxy that carries its own API."""
    return Standalone(tmp_path, places, svcproxy).start()


@pytest.fixture
def kubectl(tmp_path: Path, standalone: Svcproxy) -> Kubectl:
    """For the API of `standalone`."""
    return Kubectl(tmp_path, tmp_path / "state" / "kubeconfig")


@pytest.fixture
def myapp(places: Places, http_backends: StartBackends) -> MyApp:
    return MyApp(http_backends, places.node_port())


@pytest.fixture
def sklookup_permitted(network_namespace: None) -> None:
    """In a namespace where programs of type sk_lookup may be attached, or not at all."""
    try:
        linked_programs()
    except BpfError as error:
        pytest.skip(f"not permitted: {error}")
