"""Credentials: where the API server is and who this proxy is there, from a kubeconfig or a service account.

kubernetes_asyncio is imported on first use, since it costs 38 MB and 0.3 s. Invariant: every `load` reads the files
again, so that a token or certificate which was rotated is used. What no retry can mend is a StartupError from `check`.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from proxy.startup_error import StartupError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_IN_CLUSTER_VARIABLES = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")


class CredentialsError(Exception):
    """The credentials cannot be had at this moment."""


class Credentials(Protocol):
    """Where a connection's configuration comes from."""

    def check(self) -> None:
        """Raise StartupError for what is wrong for good."""
        ...

    async def load(self) -> "Configuration":
        """The configuration as of now. Raises CredentialsError."""
        ...


class Kubeconfig:
    """A kubeconfig file, with everything kubectl finds in one: certificates, tokens, exec plugins. An empty `context`
    is the file's current one."""

    def __init__(self, path: str, context: str = "") -> None:
        self._path = path
        self._context = context

    def check(self) -> None:
        from kubernetes_asyncio.config import list_kube_config_contexts

        if not os.path.isfile(self._path):
            raise StartupError(f"kubeconfig {self._path} does not exist: correct --kubeconfig")
        try:
            contexts, current = list_kube_config_contexts(self._path)
        except Exception as error:
            if not self._context or isinstance(error, OSError):
                raise StartupError(f"kubeconfig {self._path} cannot be used: {_text(error)}") from error
            # The current context may be missing or wrong where another one is asked for.
            return
        if self._context:
            self._require_context(contexts)
        elif current is None:
            raise StartupError(f"kubeconfig {self._path} has no current context: name one with --context")

    async def load(self) -> "Configuration":
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import load_kube_config

        configuration = Configuration()
        try:
            await load_kube_config(self._path, self._context or None, client_configuration=configuration)
        except Exception as error:  # the library lets through whatever a file, a plugin or an issuer provokes
            raise CredentialsError(f"kubeconfig {self._path}: {_text(error)}") from error
        return configuration

    def _require_context(self, contexts: Iterable[Any]) -> None:
        names = [str(each.get("name")) for each in contexts]
        if self._context not in names:
            known = ", ".join(names) or "none"
            raise StartupError(f'kubeconfig {self._path} has no context "{self._context}": it has {known}')


class ServiceAccount:
    """The service account that Kubernetes mounts into a Pod."""

    def __init__(self, environment: Mapping[str, str], directory: str = _SERVICE_ACCOUNT) -> None:
        self._environment = dict(environment)
        self._token = os.path.join(directory, "token")
        self._authority = os.path.join(directory, "ca.crt")

    def check(self) -> None:
        missing = [name for name in _IN_CLUSTER_VARIABLES if not self._environment.get(name)]
        if missing:
            raise StartupError(
                f"--in-cluster: {missing[0]} is not set: this is no Pod; name a --kubeconfig FILE instead"
            )
        for path in (self._token, self._authority):
            if not os.path.isfile(path):
                raise StartupError(f"--in-cluster: {path} does not exist: let the Pod mount its service account token")

    async def load(self) -> "Configuration":
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import ConfigException, load_incluster_config

        configuration = Configuration()
        try:
            load_incluster_config(  # type: ignore[no-untyped-call]
                configuration,
                try_refresh_token=False,
                token_filename=self._token,
                cert_filename=self._authority,
                environ=self._environment,
            )
        except (ConfigException, OSError) as error:
            raise CredentialsError(f"service account: {_text(error)}") from error
        return configuration


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
