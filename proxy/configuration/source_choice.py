"""Source choice: the one place that objects come from in a run, as the configuration asks.

Invariant: exactly one source; a configuration that names none or several is refused before anything is opened.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from random import Random

from proxy.cluster.cluster import Cluster, ClusterSettings
from proxy.configuration.config import Configuration
from proxy.configuration.settings import cluster_settings
from proxy.dns.name_places import name_places
from proxy.sources.kubernetes import KubernetesSource
from proxy.sources.kubernetes_api.connection import Connection
from proxy.sources.kubernetes_api.credentials import Credentials, Kubeconfig, ServiceAccount
from proxy.sources.kubernetes_api.known_state import KnownStateFile
from proxy.sources.kubernetes_api.resource import Scope
from proxy.sources.kubernetes_api.timing import Timing
from proxy.sources.ledger_file import LedgerFile
from proxy.sources.manifests import ManifestSource, require_paths
from proxy.sources.service_line import manifest_of
from proxy.sources.source import Source
from proxy.startup_error import StartupError
from proxy.state_directory import check_state_directory


def check_source(configuration: Configuration) -> None:
    """Raise StartupError unless the configuration names exactly one source that can be there."""
    connection = configuration.client_connection
    sources = {
        "--standalone": configuration.standalone,
        "--manifests": bool(configuration.manifests) and not configuration.standalone,
        "--service": bool(configuration.services) and not configuration.manifests and not configuration.standalone,
        "--kubeconfig": bool(connection.kubeconfig),
        "--in-cluster": configuration.in_cluster,
    }
    named = [flag for flag, is_named in sources.items() if is_named]
    if not named:
        raise StartupError(
            "nothing to serve: name manifests (svcproxy run PATH; svcproxy init writes some), processes (--service "
            "web:8000=127.0.0.1:3000), a cluster (--kubeconfig FILE or --in-cluster), take --standalone to drive the "
            "proxy with kubectl, or see svcproxy demo"
        )
    if len(named) > 1:
        raise StartupError(f"{' and '.join(named)} are two places for objects to come from: choose one")
    if connection.context and not connection.kubeconfig:
        raise StartupError("--context names a part of a kubeconfig: name the file with --kubeconfig FILE")
    if configuration.namespace and configuration.manifests:
        raise StartupError("--namespace is for a cluster: --manifests serves every namespace in its files")
    require_paths(configuration.manifests)


@contextlib.contextmanager
def open_source(configuration: Configuration, node_name: str, environment: Mapping[str, str]) -> Iterator[Source]:
    """The source, made inside the running loop; what it holds is closed at the end. Raises StartupError."""
    if configuration.follows_cluster:
        check_state_directory(configuration.state_directory)
        yield _kubernetes_source(configuration, node_name, environment)
        return
    settings = cluster_settings(configuration, node_name)
    with LedgerFile(configuration.state_directory) as ledger_file:
        if configuration.standalone:
            # The file is held for its lock: the API keeps what it gave out with its objects.
            yield _standalone_source(configuration, settings)
            return
        cluster = Cluster(settings, ledger_file.load(), Random())
        given = manifest_of(configuration.services)
        yield ManifestSource(configuration.manifests, cluster, ledger_file, configuration.manifest_bytes, given)


def _standalone_source(configuration: Configuration, settings: ClusterSettings) -> Source:
    # Imported here, since the API needs an HTTP server, SQLite and cryptography: 20 MB that a sidecar can do without.
    from proxy.control.descriptor_limit import descriptor_budget, raise_limit
    from proxy.sources.standalone import StandaloneSource

    address, directory = configuration.api_bind_address, configuration.state_directory
    most = descriptor_budget(raise_limit(), standalone=True).bounds.api
    given, most_bytes = manifest_of(configuration.services), configuration.manifest_bytes
    return StandaloneSource(directory, address, settings, configuration.manifests, most, most_bytes, given)


def _kubernetes_source(
    configuration: Configuration, node_name: str, environment: Mapping[str, str]
) -> KubernetesSource:
    timing = Timing()
    headless = _answers_names(configuration)
    scope = Scope(node_name, configuration.namespace, configuration.service_proxy_name, headless)
    connection = Connection(
        _credentials(configuration, environment), asyncio.get_running_loop().time, timing.credentials
    )
    known_state = KnownStateFile(configuration.state_directory, _cluster_identity(configuration, environment))
    return KubernetesSource(connection, scope, known_state, timing, Random())


def _credentials(configuration: Configuration, environment: Mapping[str, str]) -> Credentials:
    connection = configuration.client_connection
    if connection.kubeconfig:
        return Kubeconfig(connection.kubeconfig, connection.context)
    return ServiceAccount(environment)


def _cluster_identity(configuration: Configuration, environment: Mapping[str, str]) -> tuple[str, ...]:
    """A name for the state of this cluster and namespace, beside others in the same directory."""
    connection = configuration.client_connection
    kubeconfig = os.path.abspath(connection.kubeconfig) if connection.kubeconfig else ""
    server = "" if kubeconfig else environment.get("KUBERNETES_SERVICE_HOST", "")
    scope = (configuration.namespace, configuration.service_proxy_name)
    return (kubeconfig, connection.context, server, *scope, *(("headless",) if _answers_names(configuration) else ()))


def _answers_names(configuration: Configuration) -> bool:
    return bool(name_places(configuration))
