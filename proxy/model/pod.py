"""Pod and Node, with only the fields that decide about endpoints.

Invariant: a Pod's readiness is read from its Ready condition alone.
"""

import msgspec

from proxy.model.metadata import ObjectMeta


class ContainerPort(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    container_port: int = 0
    name: str = ""
    protocol: str = "TCP"


class Container(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`restart_policy` "Always" makes an init container a sidecar, whose ports count."""

    name: str = ""
    ports: tuple[ContainerPort, ...] = ()
    restart_policy: str = ""


class PodSpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""


class PodCondition(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    type: str = ""
    status: str = ""
    last_transition_time: str | None = None


class PodIP(msgspec.Struct, frozen=True):
    ip: str = ""


class PodStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    phase: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    pod_ips: tuple[PodIP, ...] = msgspec.field(name="podIPs", default=())
    conditions: tuple[PodCondition, ...] = ()


class Pod(msgspec.Struct, frozen=True, omit_defaults=True):
    """core/v1 Pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.metadata.namespace, self.metadata.name
