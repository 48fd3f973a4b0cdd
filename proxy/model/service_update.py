"""Updates of a Service: what a new version keeps of the old one, and what it may not change.

Invariant: pure; `carry_over` changes only fields that the new version left unset or that the change of type made
meaningless (patchAllocatedValues and dropTypeDependentFields of pkg/registry/core/service).
"""

from collections.abc import Iterator

from msgspec.structs import replace

from proxy.model.defaults import externally_accessible
from proxy.model.field_errors import forbidden, invalid
from proxy.model.problem import FieldError
from proxy.model.service import LoadBalancerStatus, Service, ServicePort, ServiceSpec
from proxy.model.service_address_validation import is_headless
from proxy.model.service_validation import needs_health_check

_IMMUTABLE = "may not change once set"


def carry_over(old: Service, new: Service) -> Service:
    """`new` (with its defaults) with the allocated values of `old` that it does not name itself.

    clusterIP(s) are kept; a port without nodePort inherits the one that the port of the same name had, unless `new`
    uses that elsewhere; healthCheckNodePort 0 inherits. Values that the new type has no use for are dropped where
    they are the same as in `old`.
    """
    spec = _without_type_dependent(old.spec, _with_allocated(old.spec, new.spec))
    status = new.status
    if old.spec.type == "LoadBalancer" and spec.type != "LoadBalancer":
        status = replace(status, load_balancer=LoadBalancerStatus())
    return replace(new, spec=spec, status=status)


def validate_service_update(old: Service, new: Service) -> tuple[FieldError, ...]:
    """What `new`, after `carry_over`, changes that may not change; `validate_service` finds the rest."""
    return (
        *_cluster_ip_change_errors(old.spec, new.spec),
        *_family_change_errors(old.spec, new.spec),
        *_load_balancer_change_errors(old.spec, new.spec),
    )


def _with_allocated(old: ServiceSpec, new: ServiceSpec) -> ServiceSpec:
    if "ExternalName" not in (old.type, new.type):
        new = _with_addresses(old, new)
    if _has_node_ports(old) and _has_node_ports(new):
        new = replace(new, ports=_with_node_ports(old.ports, new.ports))
    if needs_health_check(old) and needs_health_check(new) and not new.health_check_node_port:
        new = replace(new, health_check_node_port=old.health_check_node_port)
    return new


def _with_addresses(old: ServiceSpec, new: ServiceSpec) -> ServiceSpec:
    kept = old.cluster_ips[:1] if _releases_secondary(new) else old.cluster_ips
    # A manifest that names only `clusterIP` does not thereby give up the second family.
    if not new.cluster_ips or new.cluster_ips == kept[:1]:
        new = replace(new, cluster_ip=new.cluster_ip or old.cluster_ip, cluster_ips=kept)
    if not new.ip_families and new.ip_family_policy in (None, old.ip_family_policy):
        new = replace(new, ip_families=old.ip_families, ip_family_policy=old.ip_family_policy)
    return new


def _releases_secondary(spec: ServiceSpec) -> bool:
    return spec.ip_family_policy == "SingleStack" or len(spec.ip_families) == 1


def _with_node_ports(old: tuple[ServicePort, ...], new: tuple[ServicePort, ...]) -> tuple[ServicePort, ...]:
    inherited = {port.name: port.node_port for port in old}
    named_again = {port.node_port for port in new}
    return tuple(
        replace(port, node_port=inherited[port.name])
        if not port.node_port and inherited.get(port.name) and inherited[port.name] not in named_again
        else port
        for port in new
    )


def _without_type_dependent(old: ServiceSpec, new: ServiceSpec) -> ServiceSpec:
    if old.type != "ExternalName" and new.type == "ExternalName":
        new = _without_addresses(old, new)
    if _has_node_ports(old) and not _has_node_ports(new) and _node_ports(new) <= _node_ports(old):
        new = replace(new, ports=tuple(replace(port, node_port=0) for port in new.ports))
    port_is_old = new.health_check_node_port == old.health_check_node_port
    if needs_health_check(old) and not needs_health_check(new) and port_is_old:
        new = replace(new, health_check_node_port=0)
    policy_is_old = new.external_traffic_policy == old.external_traffic_policy
    if externally_accessible(old) and not externally_accessible(new) and policy_is_old:
        new = replace(new, external_traffic_policy="")
    if old.type == "LoadBalancer" and new.type != "LoadBalancer":
        new = _without_load_balancer(old, new)
    return new


def _without_addresses(old: ServiceSpec, new: ServiceSpec) -> ServiceSpec:
    if new.cluster_ips == old.cluster_ips and new.cluster_ip == old.cluster_ip:
        new = replace(new, cluster_ip="", cluster_ips=())
    if new.ip_families == old.ip_families:
        new = replace(new, ip_families=())
    if new.ip_family_policy == old.ip_family_policy:
        new = replace(new, ip_family_policy=None)
    return new


def _without_load_balancer(old: ServiceSpec, new: ServiceSpec) -> ServiceSpec:
    if new.allocate_load_balancer_node_ports == old.allocate_load_balancer_node_ports:
        new = replace(new, allocate_load_balancer_node_ports=None)
    if new.load_balancer_class == old.load_balancer_class:
        new = replace(new, load_balancer_class=None)
    return new


def _has_node_ports(spec: ServiceSpec) -> bool:
    return spec.type in ("NodePort", "LoadBalancer")


def _node_ports(spec: ServiceSpec) -> set[int]:
    return {port.node_port for port in spec.ports if port.node_port}


def _cluster_ip_change_errors(old: ServiceSpec, new: ServiceSpec) -> Iterator[FieldError]:
    """validateUpgradeDowngradeClusterIPs."""
    if "ExternalName" in (old.type, new.type):
        return
    before, after = old.cluster_ips, new.cluster_ips
    if before and not after:
        yield invalid("spec.clusterIPs[0]", after, "primary clusterIP can not be unset")
    # While one family is being added or released, the primary alone is fixed.
    compared = len(before) if len(before) == len(after) else 1
    for index, (was, is_now) in enumerate(zip(before[:compared], after[:compared], strict=False)):
        if was != is_now:
            yield invalid(f"spec.clusterIPs[{index}]", after, _IMMUTABLE)
    if len(before) > len(after) == 1 and new.ip_family_policy != "SingleStack":
        detail = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        yield invalid("spec.ipFamilyPolicy", new.ip_family_policy, detail)


def _family_change_errors(old: ServiceSpec, new: ServiceSpec) -> Iterator[FieldError]:
    """validateUpgradeDowngradeIPFamilies."""
    if "ExternalName" in (old.type, new.type) or is_headless(old) or is_headless(new):
        return
    before, after = old.ip_families, new.ip_families
    compared = len(before) if len(before) == len(after) else 1
    for was, is_now in zip(before[:compared], after[:compared], strict=False):
        if was != is_now:
            yield invalid("spec.ipFamilies[0]", after, _IMMUTABLE)
    if len(before) > len(after) == 1 and new.ip_family_policy != "SingleStack":
        detail = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        yield invalid("spec.ipFamilyPolicy", new.ip_family_policy, detail)


def _load_balancer_change_errors(old: ServiceSpec, new: ServiceSpec) -> Iterator[FieldError]:
    if old.type == new.type == "LoadBalancer" and old.load_balancer_class != new.load_balancer_class:
        yield invalid("spec.loadBalancerClass", new.load_balancer_class, _IMMUTABLE)
    before, after = old.health_check_node_port, new.health_check_node_port
    if needs_health_check(old) and needs_health_check(new) and before and after != before:
        yield forbidden("spec.healthCheckNodePort", "field is immutable")
