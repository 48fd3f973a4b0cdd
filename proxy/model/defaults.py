"""What the API server fills in when an object leaves it out.

Invariant: pure and idempotent; only what the object alone decides is filled in, never what needs an allocator or the
cluster's IP families. An object that lacks nothing, as an API server sends it, is itself the result, for a copy costs
more than the look.
"""

from msgspec.structs import replace

from proxy.model.endpoint_slice import EndpointPort, EndpointSlice
from proxy.model.service import (
    ClientIPConfig,
    LoadBalancerIngress,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    SessionAffinityConfig,
)

DEFAULT_AFFINITY_TIMEOUT_SECONDS = 10800
_TYPES_WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")


def default_service(service: Service) -> Service:
    """`service` with every static default, as SetDefaults_Service of pkg/apis/core/v1/defaults.go.

    Also keeps clusterIP and clusterIPs in step when only one of the two is given.
    """
    spec = service.spec
    if not spec.type:
        spec = replace(spec, type="ClusterIP")
    spec = _default_policies(_default_addresses(_default_affinity(spec)))
    ports = tuple([_default_port(port) for port in spec.ports])
    if ports != spec.ports:
        spec = replace(spec, ports=ports)
    status = _default_status(service.status, spec.type)
    if spec is service.spec and status is service.status:
        return service
    return replace(service, spec=spec, status=status)


def default_endpoint_slice(endpoint_slice: EndpointSlice) -> EndpointSlice:
    """`endpoint_slice` with named and typed ports, as SetDefaults_EndpointPort of pkg/apis/discovery/v1/defaults.go."""
    ports = tuple([_default_endpoint_port(port) for port in endpoint_slice.ports])
    return endpoint_slice if ports == endpoint_slice.ports else replace(endpoint_slice, ports=ports)


def externally_accessible(spec: ServiceSpec) -> bool:
    """Whether traffic from outside the cluster can reach the Service (pkg/api/service/util.go)."""
    return spec.type in ("NodePort", "LoadBalancer") or (spec.type == "ClusterIP" and bool(spec.external_ips))


def _default_endpoint_port(port: EndpointPort) -> EndpointPort:
    if port.name is not None and port.protocol:
        return port
    return replace(port, name=port.name or "", protocol=port.protocol or "TCP")


def _default_port(port: ServicePort) -> ServicePort:
    # A targetPort of 0 or "" is the API's unset IntOrString.
    if port.protocol and port.target_port:
        return port
    return replace(port, protocol=port.protocol or "TCP", target_port=port.target_port or port.port)


def _default_addresses(spec: ServiceSpec) -> ServiceSpec:
    if spec.cluster_ip and not spec.cluster_ips:
        return replace(spec, cluster_ips=(spec.cluster_ip,))
    if spec.cluster_ips and not spec.cluster_ip:
        return replace(spec, cluster_ip=spec.cluster_ips[0])
    return spec


def _default_affinity(spec: ServiceSpec) -> ServiceSpec:
    affinity = spec.session_affinity or "None"
    config = spec.session_affinity_config
    if affinity == "None":
        config = None
    elif affinity == "ClientIP" and (
        config is None or config.client_ip is None or config.client_ip.timeout_seconds is None
    ):
        config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=DEFAULT_AFFINITY_TIMEOUT_SECONDS))
    if affinity == spec.session_affinity and config is spec.session_affinity_config:
        return spec
    return replace(spec, session_affinity=affinity, session_affinity_config=config)


def _default_policies(spec: ServiceSpec) -> ServiceSpec:
    internal = spec.internal_traffic_policy
    if spec.type == "ExternalName":
        internal = None
    elif internal is None and spec.type in _TYPES_WITH_CLUSTER_IP:
        internal = "Cluster"
    external = spec.external_traffic_policy
    if not external and externally_accessible(spec):
        external = "Cluster"
    allocate = spec.allocate_load_balancer_node_ports
    if allocate is None and spec.type == "LoadBalancer":
        allocate = True
    if (internal, external, allocate) == (
        spec.internal_traffic_policy,
        spec.external_traffic_policy,
        spec.allocate_load_balancer_node_ports,
    ):
        return spec
    return replace(
        spec,
        internal_traffic_policy=internal,
        external_traffic_policy=external,
        allocate_load_balancer_node_ports=allocate,
    )


def _default_status(status: ServiceStatus, service_type: str) -> ServiceStatus:
    if service_type != "LoadBalancer" or not status.load_balancer.ingress:
        return status
    ingress = tuple(_default_ingress(point) for point in status.load_balancer.ingress)
    return replace(status, load_balancer=replace(status.load_balancer, ingress=ingress))


def _default_ingress(point: LoadBalancerIngress) -> LoadBalancerIngress:
    return replace(point, ip_mode="VIP") if point.ip and point.ip_mode is None else point
