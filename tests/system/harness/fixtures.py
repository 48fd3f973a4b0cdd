"""Fixtures of every test that starts the program as a process: places for it, the process, backends behind it.

Invariant: when a test is over, no process, port or file of it is left, or the test fails.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lane import is_free
from tests.system.harness.backends import StartBackends, echo_backend, http_backend, plain_echo_backend, udp_backend
from tests.system.harness.manifests import Manifest, ManifestDirectory
from tests.system.harness.passage import Passage
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy, left_behind


@pytest.fixture
def places() -> Places:
    """Addresses and ports of this test alone."""
    return Places()


@pytest.fixture
def svcproxy(tmp_path: Path, places: Places) -> Iterator[StartSvcproxy]:
    started: list[Svcproxy] = []

    def start(
        manifests: Iterable[Manifest] | ManifestDirectory = (),
        *flags: str,
        configuration: Mapping[str, object] | None = None,
        wait: bool = True,
        under: Sequence[str] = (),
    ) -> Svcproxy:
        if not isinstance(manifests, ManifestDirectory):
            directory = ManifestDirectory(tmp_path / "manifests")
            directory.put(*manifests)
            manifests = directory
        process = Svcproxy(tmp_path, places, flags, configuration or {}, manifests, under)
        started.append(process)
        if wait:
            process.wait_until_serving()
        return process

    yield start
    orphans = [orphan for process in reversed(started) for orphan in process.close()]
    assert orphans == []
    assert left_behind(tmp_path) == []
    assert [place for process in started for place in still_taken(process)] == []


def still_taken(process: Svcproxy) -> Iterator[str]:
    """The IPv4 frontends of a process that has ended, whose ports something still holds."""
    for event in process.events("listening"):
        place = str(event["frontend"]).partition("/")[0]
        address, _, port = place.rpartition(":")
        if not address.startswith("[") and not is_free(int(port), "" if address == "0.0.0.0" else address):
            yield place


@pytest.fixture
def backend_stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def http_backends(places: Places, backend_stack: ExitStack) -> StartBackends:
    """Backends that answer GET with their names, on port 8080 of their own addresses."""
    return StartBackends(http_backend, places, backend_stack)


@pytest.fixture
def echo_backends(places: Places, backend_stack: ExitStack) -> StartBackends:
    """Backends that greet with their names and echo, on port 7007 of their own addresses."""
    return StartBackends(echo_backend, places, backend_stack)


@pytest.fixture
def plain_echo_backends(places: Places, backend_stack: ExitStack) -> StartBackends:
    """Backends that echo and say nothing of their own, on port 7007 of their own addresses."""
    return StartBackends(plain_echo_backend, places, backend_stack)


@pytest.fixture
def udp_backends(places: Places, backend_stack: ExitStack) -> StartBackends:
    """Backends that answer a datagram with their names and it, on port 7007 of their own addresses."""
    return StartBackends(udp_backend, places, backend_stack)


@pytest.fixture
def passage(places: Places, backend_stack: ExitStack) -> Passage:
    """A Service whose one backend is the test itself."""
    return backend_stack.enter_context(Passage(places))
