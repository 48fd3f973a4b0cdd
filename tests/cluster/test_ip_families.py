"""Families and policy of a Service, row by row of the API server's rules."""

import pytest

from proxy.cluster.ip_families import assign_ip_families
from proxy.cluster.not_admitted import NotAdmittedError
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServiceSpec

V4, V6 = ("IPv4",), ("IPv6",)
DUAL = ("IPv4", "IPv6")
SELECTOR = {"app": "a"}


def service(
    policy: str | None = None,
    families: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
    selector: dict[str, str] | None = None,
    type: str = "ClusterIP",
) -> Service:
    spec = ServiceSpec(
        type=type,
        selector=selector,
        cluster_ip=addresses[0] if addresses else "",
        cluster_ips=addresses,
        ip_families=families,
        ip_family_policy=policy,
    )
    return Service(ObjectMeta(name="s", namespace="default"), spec)


@pytest.mark.parametrize(
    ("given", "configured", "policy", "families"),
    [
        (service(), V4, "SingleStack", V4),
        (service(), DUAL, "SingleStack", V4),
        (service(), ("IPv6", "IPv4"), "SingleStack", V6),
        (service("PreferDualStack"), V4, "PreferDualStack", V4),
        (service("PreferDualStack"), DUAL, "PreferDualStack", DUAL),
        (service("PreferDualStack", V6), DUAL, "PreferDualStack", ("IPv6", "IPv4")),
        (service("RequireDualStack"), DUAL, "RequireDualStack", DUAL),
        (service(None, V6), DUAL, "SingleStack", V6),
        (service(None, (), ("fd00::9",)), DUAL, "SingleStack", V6),
        (service("PreferDualStack", (), ("10.0.0.9", "fd00::9")), DUAL, "PreferDualStack", DUAL),
        (service(None, (), ("None",)), V4, "RequireDualStack", DUAL),
        (service(None, (), ("None",)), V6, "RequireDualStack", ("IPv6", "IPv4")),
        (service("SingleStack", (), ("None",)), V4, "SingleStack", V4),
        (service("RequireDualStack", V6, ("None",)), V4, "RequireDualStack", ("IPv6", "IPv4")),
        (service(None, (), ("None",), SELECTOR), DUAL, "SingleStack", V4),
    ],
)
def test_fills_in_policy_and_families(
    given: Service, configured: tuple[str, ...], policy: str, families: tuple[str, ...]
) -> None:
    spec = assign_ip_families(given, None, configured).spec
    assert (spec.ip_family_policy, spec.ip_families) == (policy, families)


def test_leaves_an_external_name_alone() -> None:
    given = service(type="ExternalName")
    assert assign_ip_families(given, None, V4) is given


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            service("RequireDualStack"),
            'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
            "this cluster is not configured for dual-stack services",
        ),
        (service(None, V6), 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        (
            service(None, (), ("fd00::9",)),
            'spec.clusterIPs[0]: Invalid value: ["fd00::9"]: IPv6 is not configured on this cluster',
        ),
        (
            service("SingleStack", DUAL),
            'spec.ipFamilyPolicy: Invalid value: "SingleStack": '
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
        ),
        (
            service("SingleStack", (), ("10.0.0.9", "fd00::9")),
            'spec.ipFamilyPolicy: Invalid value: "SingleStack": '
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
        ),
        (
            service(None, V6, ("None",), SELECTOR),
            'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
        ),
    ],
)
def test_refuses_what_a_single_stack_cluster_has_not(given: Service, text: str) -> None:
    with pytest.raises(NotAdmittedError) as caught:
        assign_ip_families(given, None, V4)
    assert str(caught.value.errors[0]) == text


class TestUpdate:
    old = service("PreferDualStack", DUAL, ("10.0.0.9", "fd00::9"))

    def test_adopts_the_policy_from_before(self) -> None:
        new = service(None, DUAL, ("10.0.0.9", "fd00::9"))
        assert assign_ip_families(new, self.old, DUAL).spec.ip_family_policy == "PreferDualStack"

    def test_single_stack_on_untouched_fields_releases_the_second_family(self) -> None:
        new = service("SingleStack", DUAL, ("10.0.0.9", "fd00::9"))
        spec = assign_ip_families(new, self.old, DUAL).spec
        assert (spec.ip_families, spec.cluster_ips) == (V4, ("10.0.0.9",))

    @pytest.mark.parametrize(
        ("new", "what"),
        [
            (service(None, DUAL, ("10.0.0.9",)), "cluster IP"),
            (service(None, V4, ("10.0.0.9", "fd00::9")), "IP family"),
        ],
    )
    def test_dropping_a_family_needs_the_policy(self, new: Service, what: str) -> None:
        with pytest.raises(NotAdmittedError) as caught:
            assign_ip_families(new, self.old, DUAL)
        assert str(caught.value.errors[0]) == (
            'spec.ipFamilyPolicy: Invalid value: "PreferDualStack": '
            f"must be 'SingleStack' to release the secondary {what}"
        )
