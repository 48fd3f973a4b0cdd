"""Exactly one source a run."""

import asyncio
from pathlib import Path

import pytest

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config import Configuration
from proxy.configuration.source_choice import check_source, open_source
from proxy.sources.kubernetes import KubernetesSource
from proxy.sources.manifests import ManifestSource
from proxy.startup_error import StartupError

FILE = ClientConnection(kubeconfig="kubeconfig")


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        (Configuration(), r"nothing to serve: name manifests \(svcproxy run PATH"),
        (Configuration(manifests=(".",), client_connection=FILE), "--manifests and --kubeconfig are two places"),
        (Configuration(client_connection=FILE, in_cluster=True), "--kubeconfig and --in-cluster are two places"),
        (Configuration(in_cluster=True, client_connection=ClientConnection(context="c")), "--context names a part of"),
        (Configuration(manifests=(".",), namespace="team"), "--namespace is for a cluster"),
        (Configuration(manifests=("nowhere",)), "nowhere do not exist"),
        (Configuration(services=("web:80=:81",), in_cluster=True), "--service and --in-cluster are two places"),
    ],
)
def test_what_names_no_source_or_two_is_refused(configuration: Configuration, message: str) -> None:
    with pytest.raises(StartupError, match=message):
        check_source(configuration)


@pytest.mark.parametrize(
    ("configuration", "source"),
    [
        (Configuration(manifests=(".",)), ManifestSource),
        (Configuration(services=("web:80=:81",)), ManifestSource),
        (Configuration(client_connection=FILE, namespace="team"), KubernetesSource),
        (Configuration(in_cluster=True), KubernetesSource),
    ],
)
def test_the_source_is_the_one_asked_for(tmp_path: Path, configuration: Configuration, source: type[object]) -> None:
    check_source(configuration)

    async def opened() -> object:
        given = Configuration(
            state_directory=str(tmp_path),
            manifests=configuration.manifests,
            services=configuration.services,
            client_connection=configuration.client_connection,
            in_cluster=configuration.in_cluster,
        )
        with open_source(given, "node", {}) as found:
            return found

    assert isinstance(asyncio.run(opened()), source)
