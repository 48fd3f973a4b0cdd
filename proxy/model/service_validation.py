"""Validation of a Service: what the API server refuses, in its order and its words.

Invariant: pure, never raises, and refuses nothing that only an allocator can decide (address and node port ranges,
conflicts, the cluster's IP families).
"""

from collections.abc import Iterator

from proxy.model.defaults import externally_accessible
from proxy.model.field_errors import forbidden, invalid, not_supported, required
from proxy.model.metadata_validation import label_errors, metadata_errors
from proxy.model.names import dns_label_messages, dns_subdomain_messages, qualified_name_messages
from proxy.model.problem import FieldError
from proxy.model.service import Service, ServiceSpec
from proxy.model.service_address_validation import (
    cluster_ip_errors,
    external_ip_errors,
    ingress_errors,
    is_headless,
    source_range_errors,
)
from proxy.model.service_port_validation import (
    PORT_RANGE_MESSAGE,
    duplicate_port_errors,
    forbidden_node_port_errors,
    is_port_number,
    port_errors,
)

LONGEST_AFFINITY_SECONDS = 86400
TOPOLOGY_MODE_ANNOTATION = "service.kubernetes.io/topology-mode"
TOPOLOGY_HINTS_ANNOTATION = "service.kubernetes.io/topology-aware-hints"
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_TRAFFIC_POLICIES = ("Cluster", "Local")
# The only list that the API server does not sort.
_TRAFFIC_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"


def validate_service(service: Service) -> tuple[FieldError, ...]:
    """Every error of a Service that has its defaults, as ValidateService (pkg/apis/core/validation) of 1.36.

    A healthCheckNodePort of 0 passes: it is allocated.
    """
    spec = service.spec
    return (
        *metadata_errors(service.metadata, dns_label_messages),
        *_topology_errors(service),
        *_type_dependent_errors(spec),
        *port_errors(spec.ports),
        *label_errors("spec.selector", spec.selector or {}),
        *_affinity_errors(spec),
        *(cluster_ip_errors(spec) if spec.type != "ExternalName" else ()),
        *external_ip_errors(spec),
        *_type_errors(spec),
        *(forbidden_node_port_errors(spec.ports) if spec.type == "ClusterIP" else ()),
        *duplicate_port_errors(spec.ports),
        *source_range_errors(service),
        *_load_balancer_errors(spec),
        *_external_traffic_errors(spec),
        *_internal_traffic_errors(spec),
        *ingress_errors(service),
    )


def needs_health_check(spec: ServiceSpec) -> bool:
    """Whether the Service has a healthCheckNodePort (pkg/api/service/util.go)."""
    return spec.type == "LoadBalancer" and spec.external_traffic_policy == "Local"


def _topology_errors(service: Service) -> Iterator[FieldError]:
    mode = service.metadata.annotations.get(TOPOLOGY_MODE_ANNOTATION)
    hints = service.metadata.annotations.get(TOPOLOGY_HINTS_ANNOTATION)
    if mode is not None and hints is not None and mode != hints:
        detail = f"must match annotations[{TOPOLOGY_HINTS_ANNOTATION}] when both are specified"
        yield invalid(f"metadata.annotations[{TOPOLOGY_MODE_ANNOTATION}]", mode, detail)


def _type_dependent_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    if not spec.ports and not is_headless(spec) and spec.type != "ExternalName":
        yield required("spec.ports")
    if spec.type in ("LoadBalancer", "NodePort") and is_headless(spec):
        detail = f"may not be set to 'None' for {spec.type} services"
        yield invalid("spec.clusterIPs[0]", spec.cluster_ips[0], detail)
    if spec.type == "ExternalName":
        yield from _external_name_errors(spec)


def _external_name_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    given = {
        "spec.clusterIPs": bool(spec.cluster_ips),
        "spec.ipFamilies": bool(spec.ip_families),
        "spec.ipFamilyPolicy": spec.ip_family_policy is not None,
    }
    for field in (field for field, is_given in given.items() if is_given):
        yield forbidden(field, "may not be set for ExternalName services")
    name = spec.external_name.removesuffix(".")
    if not name:
        yield required("spec.externalName")
        return
    for message in dns_subdomain_messages(name):
        yield invalid("spec.externalName", name, message)


def _affinity_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    if not spec.session_affinity:
        yield required("spec.sessionAffinity")
    elif spec.session_affinity == "ClientIP":
        yield from _client_ip_errors(spec)
    elif spec.session_affinity != "None":
        yield not_supported("spec.sessionAffinity", spec.session_affinity, ("ClientIP", "None"))
    elif spec.session_affinity_config is not None:
        yield forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")


def _client_ip_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    field, detail = "spec.sessionAffinityConfig", "when session affinity type is ClientIP"
    config = spec.session_affinity_config
    if config is None:
        yield required(field, detail)
    elif config.client_ip is None:
        yield required(f"{field}.clientIP", detail)
    elif config.client_ip.timeout_seconds is None:
        yield required(f"{field}.clientIP.timeoutSeconds", detail)
    elif not 1 <= config.client_ip.timeout_seconds <= LONGEST_AFFINITY_SECONDS:
        detail = f"must be greater than 0 and less than {LONGEST_AFFINITY_SECONDS}"
        yield invalid(f"{field}.clientIP.timeoutSeconds", config.client_ip.timeout_seconds, detail)


def _type_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    if not spec.type:
        yield required("spec.type")
    elif spec.type not in _TYPES:
        yield not_supported("spec.type", spec.type, _TYPES)


def _load_balancer_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    is_load_balancer = spec.type == "LoadBalancer"
    if spec.allocate_load_balancer_node_ports is not None and not is_load_balancer:
        yield forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_LOAD_BALANCER)
    if spec.allocate_load_balancer_node_ports is None and is_load_balancer:
        yield required("spec.allocateLoadBalancerNodePorts")
    if spec.load_balancer_class is None:
        return
    if not is_load_balancer:
        yield forbidden("spec.loadBalancerClass", _ONLY_LOAD_BALANCER)
        return
    for message in qualified_name_messages(spec.load_balancer_class):
        yield invalid("spec.loadBalancerClass", spec.load_balancer_class, message)


def _external_traffic_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    field, policy = "spec.externalTrafficPolicy", spec.external_traffic_policy
    if not externally_accessible(spec):
        if policy:
            yield invalid(field, policy, "may only be set for externally-accessible services")
    elif not policy:
        yield required(field)
    elif policy not in _TRAFFIC_POLICIES:
        yield not_supported(field, policy, _TRAFFIC_POLICIES)
    if spec.health_check_node_port and not needs_health_check(spec):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", spec.health_check_node_port, detail)
    elif spec.health_check_node_port and not is_port_number(spec.health_check_node_port):
        yield invalid("spec.healthCheckNodePort", spec.health_check_node_port, PORT_RANGE_MESSAGE)


def _internal_traffic_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    policy = spec.internal_traffic_policy
    if policy is None and spec.type in ("ClusterIP", "LoadBalancer", "NodePort"):
        yield required("spec.internalTrafficPolicy")
    elif policy is not None and policy not in _TRAFFIC_POLICIES:
        yield not_supported("spec.internalTrafficPolicy", policy, _TRAFFIC_POLICIES)
    if spec.traffic_distribution is not None and spec.traffic_distribution not in _TRAFFIC_DISTRIBUTIONS:
        yield not_supported("spec.trafficDistribution", spec.traffic_distribution, _TRAFFIC_DISTRIBUTIONS)
