"""Client connection: how the Kubernetes API server is reached, as KubeProxyConfiguration names it.

Invariant: an empty `kubeconfig` means that no file was named.
"""

import msgspec


class ClientConnection(msgspec.Struct, frozen=True):
    """`clientConnection` of the configuration. An empty `context` is the current one of the file."""

    kubeconfig: str = ""
    context: str = ""
