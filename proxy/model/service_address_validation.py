"""Validation of a Service's addresses: clusterIP(s) and their families, externalIPs, source ranges, ingress.

Invariant: the rules and words of ValidateServiceClusterIPsRelatedFields, ValidateService and
ValidateLoadBalancerStatus (pkg/apis/core/validation); which families a cluster has is the allocator's to know.
"""

from collections.abc import Iterator

from proxy.model.addresses import address_errors, cidr_errors, endpoint_address_errors, parse_address
from proxy.model.field_errors import duplicate, forbidden, invalid, not_supported, required
from proxy.model.names import dns_subdomain_messages
from proxy.model.problem import FieldError
from proxy.model.service import LoadBalancerIngress, Service, ServiceSpec

HEADLESS = "None"
SOURCE_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"


def is_headless(spec: ServiceSpec) -> bool:
    """Whether the Service has endpoints but no address of its own."""
    return spec.cluster_ips == (HEADLESS,)


def cluster_ip_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    """Errors of clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy of any type but ExternalName."""
    if spec.cluster_ip and not spec.cluster_ips:
        yield required("spec.clusterIPs")
    elif spec.cluster_ip and spec.cluster_ips[0] != spec.cluster_ip:
        yield invalid("spec.clusterIPs", spec.cluster_ips, "first value must match `clusterIP`")
    elif spec.cluster_ips and not spec.cluster_ip:
        yield invalid("spec.clusterIPs", spec.cluster_ips, "must be empty when `clusterIP` is not specified")
    yield from _family_errors(spec)
    syntax_errors = tuple(_cluster_ip_syntax_errors(spec.cluster_ips))
    yield from syntax_errors
    if len(spec.cluster_ips) > 2:
        yield invalid("spec.clusterIPs", spec.cluster_ips, "may only hold up to 2 values")
    if not syntax_errors:
        yield from _family_match_errors(spec)


def external_ip_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    """Errors of externalIPs, which have to be addresses that other machines can reach."""
    for index, address in enumerate(spec.external_ips):
        yield from endpoint_address_errors(f"spec.externalIPs[{index}]", address)


def source_range_errors(service: Service) -> Iterator[FieldError]:
    """Errors of loadBalancerSourceRanges, or of the older annotation where the field is empty."""
    annotation = service.metadata.annotations.get(SOURCE_RANGES_ANNOTATION)
    if service.spec.load_balancer_source_ranges:
        # The capital letter is the API server's.
        field = "spec.LoadBalancerSourceRanges"
        ranges = [(f"{field}[{i}]", text) for i, text in enumerate(service.spec.load_balancer_source_ranges)]
    elif annotation is not None:
        field = f"metadata.annotations[{SOURCE_RANGES_ANNOTATION}]"
        ranges = [(field, text) for text in annotation.split(",")] if annotation.strip() else []
    else:
        return
    if service.spec.type != "LoadBalancer":
        yield forbidden(field, _ONLY_LOAD_BALANCER)
    for range_field, text in ranges:
        yield from cidr_errors(range_field, text.strip())


def ingress_errors(service: Service) -> Iterator[FieldError]:
    """Errors of status.loadBalancer.ingress, where a manifest brings its status along."""
    ingress = service.status.load_balancer.ingress
    if ingress and service.spec.type != "LoadBalancer":
        yield forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'")
        return
    for index, point in enumerate(ingress):
        yield from _ingress_point_errors(point, f"status.loadBalancer.ingress[{index}]")


def _family_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    for index, family in enumerate(spec.ip_families):
        if family not in _FAMILIES:
            yield not_supported(f"spec.ipFamilies[{index}]", family, _FAMILIES)
        if family in spec.ip_families[:index]:
            yield duplicate(f"spec.ipFamilies[{index}]", family)
    if spec.ip_family_policy is not None and spec.ip_family_policy not in _FAMILY_POLICIES:
        yield not_supported("spec.ipFamilyPolicy", spec.ip_family_policy, _FAMILY_POLICIES)


def _cluster_ip_syntax_errors(cluster_ips: tuple[str, ...]) -> Iterator[FieldError]:
    for index, text in enumerate(cluster_ips):
        if index == 0 and text == HEADLESS:
            if len(cluster_ips) > 1:
                yield invalid("spec.clusterIPs", cluster_ips, "'None' must be the first and only value")
        else:
            yield from address_errors(f"spec.clusterIPs[{index}]", text)


def _family_match_errors(spec: ServiceSpec) -> Iterator[FieldError]:
    """Errors of well-formed clusterIPs against each other and against ipFamilies."""
    if is_headless(spec):
        return
    families = [_family(text) for text in spec.cluster_ips]
    if len(families) > 1 and sorted(families) != list(_FAMILIES):
        detail = "may specify no more than one IP for each IP family"
        yield invalid("spec.clusterIPs", spec.cluster_ips, detail)
    for index, (actual, asked) in enumerate(zip(families, spec.ip_families, strict=False)):
        if asked in _FAMILIES and actual != asked:
            detail = f"expected an {asked} value as indicated by `ipFamilies[{index}]`"
            yield invalid(f"spec.clusterIPs[{index}]", spec.cluster_ips[index], detail)


def _family(text: str) -> str:
    address = parse_address(text)
    return "IPv6" if address is not None and address.version == 6 else "IPv4"


def _ingress_point_errors(point: LoadBalancerIngress, field: str) -> Iterator[FieldError]:
    if point.ip:
        yield from address_errors(f"{field}.ip", point.ip)
        address = parse_address(point.ip)
        # The API server takes it. Whoever listens there listens on every address of the machine.
        if address is not None and address.is_unspecified:
            yield invalid(f"{field}.ip", point.ip, f"may not be unspecified ({point.ip})")
    if point.ip_mode is None:
        if point.ip:
            yield required(f"{field}.ipMode", "must be specified when `ip` is set")
    elif not point.ip:
        yield forbidden(f"{field}.ipMode", "may not be specified when `ip` is not set")
    elif point.ip_mode not in ("Proxy", "VIP"):
        yield not_supported(f"{field}.ipMode", point.ip_mode, ("Proxy", "VIP"))
    if point.hostname:
        for message in dns_subdomain_messages(point.hostname):
            yield invalid(f"{field}.hostname", point.hostname, message)
        if parse_address(point.hostname) is not None:
            yield invalid(f"{field}.hostname", point.hostname, "must be a DNS name, not an IP address")
