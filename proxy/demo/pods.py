"""The pods of the demo, taken from its manifests, so that servers and manifests cannot disagree.

Invariant: a Pod without an address gives no pod here.
"""

from collections.abc import Iterable

import msgspec

from proxy.model.decoding import Object
from proxy.model.pod import ContainerPort, Pod


class DemoPod(msgspec.Struct, frozen=True):
    """One server to start: `role` is the name of the Pod's container and says what kind of server."""

    name: str
    role: str
    address: str
    ports: tuple[ContainerPort, ...]


def demo_pods(manifests: Iterable[Object]) -> tuple[DemoPod, ...]:
    """A server for each container of each Pod among `manifests`, in their order."""
    return tuple(
        DemoPod(pod.metadata.name, container.name, pod.status.pod_ip, container.ports)
        for pod in manifests
        if isinstance(pod, Pod) and pod.status.pod_ip
        for container in pod.spec.containers
    )
