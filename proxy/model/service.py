"""Service: the object that asks for an address, as core/v1 defines it.

Invariant: every field of ServiceSpec in the API exists here, so that an unknown field in a manifest can be told from
one the proxy has no use for.
"""

import msgspec

from proxy.model.metadata import ObjectMeta


class _Wire(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Field names on the wire are camelCase; nulls and absent fields mean the default."""


class ServicePort(_Wire, frozen=True, gc=False):
    """One entry of spec.ports. `target_port` is a number, a container port's name, or absent (then `port`)."""

    port: int = 0
    name: str = ""
    protocol: str = ""
    target_port: int | str | None = None
    node_port: int = 0
    app_protocol: str | None = None


class ClientIPConfig(_Wire, frozen=True, gc=False):
    """sessionAffinityConfig.clientIP; seconds."""

    timeout_seconds: int | None = None


class SessionAffinityConfig(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    client_ip: ClientIPConfig | None = msgspec.field(name="clientIP", default=None)


class ServiceSpec(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """spec of a Service, every field of core/v1 at 1.36; empty string and empty tuple mean unset."""

    type: str = ""
    selector: dict[str, str] | None = None
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    cluster_ips: tuple[str, ...] = msgspec.field(name="clusterIPs", default=())
    external_ips: tuple[str, ...] = msgspec.field(name="externalIPs", default=())
    session_affinity: str = msgspec.field(name="sessionAffinity", default="")
    session_affinity_config: SessionAffinityConfig | None = msgspec.field(name="sessionAffinityConfig", default=None)
    load_balancer_ip: str = msgspec.field(name="loadBalancerIP", default="")
    load_balancer_source_ranges: tuple[str, ...] = msgspec.field(name="loadBalancerSourceRanges", default=())
    load_balancer_class: str | None = msgspec.field(name="loadBalancerClass", default=None)
    allocate_load_balancer_node_ports: bool | None = msgspec.field(name="allocateLoadBalancerNodePorts", default=None)
    external_name: str = msgspec.field(name="externalName", default="")
    external_traffic_policy: str = msgspec.field(name="externalTrafficPolicy", default="")
    internal_traffic_policy: str | None = msgspec.field(name="internalTrafficPolicy", default=None)
    health_check_node_port: int = msgspec.field(name="healthCheckNodePort", default=0)
    publish_not_ready_addresses: bool = msgspec.field(name="publishNotReadyAddresses", default=False)
    ip_families: tuple[str, ...] = msgspec.field(name="ipFamilies", default=())
    ip_family_policy: str | None = msgspec.field(name="ipFamilyPolicy", default=None)
    traffic_distribution: str | None = msgspec.field(name="trafficDistribution", default=None)


class LoadBalancerIngress(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One address that a load balancer gave the Service; `ip_mode` "Proxy" keeps it out of the data plane."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = msgspec.field(name="ipMode", default=None)


class LoadBalancerStatus(_Wire, frozen=True, gc=False):
    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(_Wire, frozen=True, gc=False):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """core/v1 Service."""

    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name), the identity of a Service everywhere in this program."""
        return self.metadata.namespace, self.metadata.name
