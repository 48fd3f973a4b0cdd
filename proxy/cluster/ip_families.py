"""Which IP families a Service has, and in which order.

Invariant: an admitted Service that is not ExternalName has a policy and one or two families, all of them configured
unless it is headless without a selector (KEP-563, initIPFamilyFields of pkg/registry/core/service/storage/alloc.go).
"""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from proxy.cluster.not_admitted import NotAdmittedError
from proxy.model.field_errors import invalid
from proxy.model.problem import FieldError
from proxy.model.service import Service, ServiceSpec
from proxy.model.service_address_validation import is_headless

FAMILIES = ("IPv4", "IPv6")
_POLICY_FIELD = "spec.ipFamilyPolicy"
_SEVERAL = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
_RELEASE = "must be 'SingleStack' to release the secondary {}"


def assign_ip_families(service: Service, old: Service | None, configured: Sequence[str]) -> Service:
    """`service` with ipFamilyPolicy and ipFamilies filled in; of its clusterIPs, a released one is cut off.

    `configured` holds the families of the cluster's ranges, the default one first. Raises NotAdmittedError.
    """
    if service.spec.type == "ExternalName":
        return service
    before = old.spec if old is not None else ServiceSpec()
    spec = replace(service.spec, ip_family_policy=_policy(service.spec, before))
    if spec.ip_family_policy == "SingleStack":
        spec = _without_secondary(spec, before)
    _require(*_stack_errors(spec, before), *_unknown_address_errors(spec, configured))
    spec = replace(spec, ip_families=_inferred(spec))
    if is_headless(spec) and not spec.selector:
        available: Sequence[str] = FAMILIES
    else:
        available = configured
        _require(*_configuration_errors(spec, configured))
    families = _completed(spec.ip_families or (configured[0],), spec.ip_family_policy, available)
    return replace(service, spec=replace(spec, ip_families=families))


def family_of(address: str) -> str:
    """The family of a syntactically valid address."""
    return "IPv6" if ":" in address else "IPv4"


def _require(*errors: FieldError) -> None:
    if errors:
        raise NotAdmittedError(*errors)


def _policy(spec: ServiceSpec, before: ServiceSpec) -> str:
    inherited = spec.ip_family_policy or before.ip_family_policy
    if inherited:
        return inherited
    return "RequireDualStack" if is_headless(spec) and not spec.selector else "SingleStack"


def _without_secondary(spec: ServiceSpec, before: ServiceSpec) -> ServiceSpec:
    """SingleStack on fields the user did not touch is a clear wish to drop the second family."""
    if spec.cluster_ips == before.cluster_ips:
        spec = replace(spec, cluster_ips=spec.cluster_ips[:1])
    if spec.ip_families == before.ip_families:
        spec = replace(spec, ip_families=spec.ip_families[:1])
    return spec


def _stack_errors(spec: ServiceSpec, before: ServiceSpec) -> Iterator[FieldError]:
    policy = spec.ip_family_policy
    pairs = (
        (spec.cluster_ips, before.cluster_ips, "cluster IPs", "cluster IP"),
        (spec.ip_families, before.ip_families, "IP families", "IP family"),
    )
    for now, then, several, one in pairs:
        if policy == "SingleStack" and len(now) == 2:
            yield invalid(_POLICY_FIELD, policy, _SEVERAL.format(several))
        if policy != "SingleStack" and len(then) == 2 and now == then[:1]:
            yield invalid(_POLICY_FIELD, policy, _RELEASE.format(one))


def _unknown_address_errors(spec: ServiceSpec, configured: Sequence[str]) -> Iterator[FieldError]:
    """Errors of addresses whose family nobody named and the cluster does not have."""
    for index, address in enumerate(spec.cluster_ips):
        if address == "None":
            return
        family = family_of(address)
        if index >= len(spec.ip_families) and family not in configured:
            detail = f"{family} is not configured on this cluster"
            yield invalid(f"spec.clusterIPs[{index}]", spec.cluster_ips, detail)


def _inferred(spec: ServiceSpec) -> tuple[str, ...]:
    if is_headless(spec):
        return spec.ip_families
    unnamed = spec.cluster_ips[len(spec.ip_families) :]
    return spec.ip_families + tuple(family_of(address) for address in unnamed)


def _configuration_errors(spec: ServiceSpec, configured: Sequence[str]) -> Iterator[FieldError]:
    if spec.ip_family_policy == "RequireDualStack" and len(configured) < 2:
        detail = "this cluster is not configured for dual-stack services"
        yield invalid(_POLICY_FIELD, spec.ip_family_policy, detail)
    for index, family in enumerate(spec.ip_families):
        if family not in configured:
            yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")


def _completed(families: tuple[str, ...], policy: str | None, available: Sequence[str]) -> tuple[str, ...]:
    if policy == "SingleStack" or len(families) > 1:
        return families
    return families + tuple(family for family in available if family not in families)
