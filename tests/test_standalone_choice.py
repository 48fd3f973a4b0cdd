"""`--standalone` among the places that objects can come from."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config import Configuration
from proxy.configuration.source_choice import check_source, open_source
from proxy.sources.standalone import StandaloneSource
from proxy.startup_error import StartupError


def test_standalone_takes_manifests_along(tmp_path: Path) -> None:
    check_source(Configuration(standalone=True))
    check_source(Configuration(standalone=True, manifests=(str(tmp_path),)))


@pytest.mark.parametrize("cluster", [{"in_cluster": True}, {"client_connection": ClientConnection("file", "")}])
def test_standalone_and_a_cluster_are_two_places(cluster: dict[str, object]) -> None:
    with pytest.raises(StartupError, match=r"--standalone and --(in-cluster|kubeconfig) are two places"):
        check_source(replace(Configuration(standalone=True), **cluster))


def test_standalone_holds_its_state_directory(tmp_path: Path) -> None:
    configuration = Configuration(standalone=True, state_directory=str(tmp_path), api_bind_address=("127.0.0.1", 0))
    with open_source(configuration, "here", {}) as source:
        assert isinstance(source, StandaloneSource)
        with pytest.raises(StartupError, match="in use by another svcproxy"), open_source(configuration, "here", {}):
            pass
