"""A svcproxy that carries its own Kubernetes API, with what leads kubectl to it.

Invariant: the API has an address of the test's own, so that it is found at the same place after a restart.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy


class Standalone:
    """`start` starts `svcproxy run --standalone`, on the same address, objects and `kubeconfig` every time."""

    def __init__(self, directory: Path, places: Places, start: StartSvcproxy) -> None:
        self.kubeconfig = directory / "state" / "kubeconfig"
        self.address = places.address()
        self._start = start

    def start(self, configuration: Mapping[str, object] | None = None) -> Svcproxy:
        """The running program; serving, and so is its API."""
        flags = ("--standalone", f"--api-bind-address={self.address}:6443")
        return self._start((), *flags, configuration=configuration)
