"""Where a Service is reached, and the words for where it is not."""

from typing import Any

import msgspec
import pytest

from proxy.model.service import Service
from proxy.plan.service_addresses import (
    PROXY_NAME_LABEL,
    address_notes,
    families_of,
    service_addresses,
    unserved_reason,
)
from proxy.plan.settings import PlanSettings

SETTINGS = PlanSettings(node_port_addresses=("0.0.0.0", "::"))


def service(labels: dict[str, str] | None = None, ingress: list[dict[str, str]] | None = None, **spec: Any) -> Service:
    spec = {"type": "ClusterIP", "clusterIPs": ["10.96.0.1"], **spec}
    metadata = {"name": "myapp", "namespace": "default", "labels": labels or {}}
    status = {"loadBalancer": {"ingress": ingress or []}}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": status}, Service)


def reached(subject: Service, family: str = "IPv4", settings: PlanSettings = SETTINGS) -> list[tuple[str, str]]:
    return [(str(each.kind), each.address) for each in service_addresses(subject, family, settings)]


@pytest.mark.parametrize(
    ("label", "own_name", "reason"),
    [
        (None, "", ""),
        ("", "", 'labelled for proxy ""'),
        ("other", "", 'labelled for proxy "other"'),
        (None, "mine", 'not labelled for proxy "mine"'),
        ("mine", "mine", ""),
        ("other", "mine", 'labelled for proxy "other"'),
        ("", "mine", 'labelled for proxy ""'),
    ],
)
def test_serves_its_own_share_of_the_services(label: str | None, own_name: str, reason: str) -> None:
    labels = {} if label is None else {PROXY_NAME_LABEL: label}
    assert unserved_reason(service(labels), ("IPv4",), PlanSettings(proxy_name=own_name)) == reason


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"clusterIPs": ["None"]}, "headless"),
        ({"type": "ExternalName", "externalName": "example.com"}, "ExternalName"),
        ({"type": "ExternalName", "clusterIPs": []}, "ExternalName"),
        ({"clusterIPs": []}, "waiting for a cluster IP"),
        ({"clusterIPs": [""]}, "waiting for a cluster IP"),
    ],
)
def test_says_why_a_service_has_no_address(spec: dict[str, Any], word: str) -> None:
    subject = service(**spec)
    assert unserved_reason(subject, families_of(subject), SETTINGS).startswith(word)


def test_the_families_are_those_of_the_cluster_ips_in_their_order() -> None:
    assert families_of(service(clusterIPs=["2001:db8::1", "10.96.0.1"])) == ("IPv6", "IPv4")
    assert families_of(service(externalIPs=["2001:db8::1"])) == ("IPv4",)


def test_every_kind_of_address_is_there_in_its_family_only() -> None:
    subject = service(
        type="LoadBalancer",
        clusterIPs=["10.96.0.1", "2001:DB8::1"],
        externalIPs=["192.0.2.1", "2001:db8::2"],
        ingress=[{"ip": "198.51.100.1", "ipMode": "VIP"}, {"ip": "2001:db8::3"}],
    )
    assert reached(subject) == [
        ("ClusterIP", "10.96.0.1"),
        ("LoadBalancer", "198.51.100.1"),
        ("ExternalIP", "192.0.2.1"),
        ("NodePort", "0.0.0.0"),
    ]
    assert reached(subject, "IPv6") == [
        ("ClusterIP", "2001:db8::1"),
        ("LoadBalancer", "2001:db8::3"),
        ("ExternalIP", "2001:db8::2"),
        ("NodePort", "::"),
    ]
    assert not list(address_notes(subject, families_of(subject), SETTINGS))


def test_node_ports_are_on_each_configured_address_of_the_family() -> None:
    settings = PlanSettings(node_port_addresses=("127.0.0.1", "::1", "192.0.2.7"))
    assert reached(service(), settings=settings)[1:] == [("NodePort", "127.0.0.1"), ("NodePort", "192.0.2.7")]
    assert reached(service(), "IPv6", settings) == [("NodePort", "::1")]


@pytest.mark.parametrize(
    ("ingress", "note"),
    [
        ([], "waiting for a load balancer address"),
        (
            [{"ip": "198.51.100.1", "ipMode": "Proxy"}],
            "load balancer address 198.51.100.1: ipMode Proxy keeps it with the load balancer",
        ),
        ([{"hostname": "lb.example.com"}], "load balancer address lb.example.com: only a hostname"),
        ([{"ip": "2001:db8::9"}], "address 2001:db8::9: the Service has no IPv6 cluster IP"),
    ],
    ids=str,
)
def test_a_load_balancer_address_that_is_not_served_has_a_note(ingress: list[dict[str, str]], note: str) -> None:
    subject = service(type="LoadBalancer", ingress=ingress)
    assert list(address_notes(subject, families_of(subject), SETTINGS)) == [note]
    assert "LoadBalancer" not in dict(reached(subject))


def test_an_external_ip_of_a_family_without_cluster_ip_has_a_note() -> None:
    subject = service(externalIPs=["2001:db8::9", "192.0.2.1"])
    assert list(address_notes(subject, families_of(subject), SETTINGS)) == [
        "address 2001:db8::9: the Service has no IPv6 cluster IP"
    ]


def test_a_stale_load_balancer_status_of_another_type_is_ignored() -> None:
    subject = service(ingress=[{"ip": "198.51.100.1"}, {"hostname": "x"}])
    assert "LoadBalancer" not in dict(reached(subject))
    assert not list(address_notes(subject, families_of(subject), SETTINGS))


@pytest.mark.parametrize(
    ("ranges", "ipv4", "ipv6"),
    [
        ([], (), ()),
        ([" 192.0.2.0/24 "], ("192.0.2.0/24",), ("192.0.2.0/24",)),
        (["192.0.2.0/24", "2001:db8::/64"], ("192.0.2.0/24",), ("2001:db8::/64",)),
        (["192.0.2.0/24", "0.0.0.0/0"], (), ("192.0.2.0/24", "0.0.0.0/0")),
        (["2001:db8::/64", "::/0"], ("2001:db8::/64", "::/0"), ()),
        (["10.0.0.0/8", "::/0"], ("10.0.0.0/8",), ()),
        (["0.0.0.0/0", "2001:db8::/64"], (), ("2001:db8::/64",)),
        (["0.0.0.0/0", "::/0"], (), ()),
        (["192.0.2.0/24"], ("192.0.2.0/24",), ("192.0.2.0/24",)),
    ],
    ids=str,
)
def test_source_ranges_guard_the_load_balancer_addresses_alone(
    ranges: list[str], ipv4: tuple[str, ...], ipv6: tuple[str, ...]
) -> None:
    subject = service(
        type="LoadBalancer",
        clusterIPs=["10.96.0.1", "2001:db8::1"],
        externalIPs=["192.0.2.1"],
        loadBalancerSourceRanges=ranges,
        ingress=[{"ip": "198.51.100.1"}, {"ip": "2001:db8::3"}],
    )
    for family, expected in (("IPv4", ipv4), ("IPv6", ipv6)):
        for each in service_addresses(subject, family, SETTINGS):
            assert each.source_ranges == (expected if each.kind == "LoadBalancer" else ())


@pytest.mark.parametrize(
    ("addresses", "missing"),
    [(("127.0.0.1", "::1"), []), (("0.0.0.0",), ["IPv6"]), ((), ["IPv4", "IPv6"])],
    ids=str,
)
def test_node_ports_that_no_address_of_the_machine_is_for_have_a_note(
    addresses: tuple[str, ...], missing: list[str]
) -> None:
    subject = service(type="NodePort", clusterIPs=["10.96.0.1", "2001:db8::1"], ports=[{"port": 80, "nodePort": 30080}])
    settings = PlanSettings(node_port_addresses=addresses)
    assert list(address_notes(subject, families_of(subject), settings)) == [
        f"node ports: this machine has no {family} address for them (nodePortAddresses, bindAddress)"
        for family in missing
    ]
    assert not list(address_notes(service(), families_of(service()), settings))


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_no_service_takes_every_address_of_the_machine(wildcard: str) -> None:
    """No manifest may say so, but a followed cluster is not held to that."""
    subject = service(
        type="LoadBalancer",
        clusterIPs=["10.96.0.1", "fd00::1"],
        externalIPs=[wildcard],
        ingress=[{"ip": wildcard, "ipMode": "VIP"}],
    )
    for family in ("IPv4", "IPv6"):
        assert wildcard not in [address for kind, address in reached(subject, family) if kind != "NodePort"]
    (note,) = [note for note in address_notes(subject, families_of(subject), SETTINGS) if wildcard in note]
    assert note == f"address {wildcard}: it is every address of this machine, and not listened on"


def test_external_and_load_balancer_addresses_are_served_within_the_ranges_alone() -> None:
    settings = PlanSettings(node_port_addresses=(), external_ip_ranges=("192.0.2.0/24", "2001:db8::/64"))
    subject = service(
        type="LoadBalancer",
        clusterIPs=["10.96.0.1", "fd00::1"],
        externalIPs=["192.0.2.7", "198.51.100.7", "2001:db8::7"],
        ingress=[{"ip": "198.51.100.8", "ipMode": "VIP"}],
    )
    assert reached(subject, "IPv4", settings) == [("ClusterIP", "10.96.0.1"), ("ExternalIP", "192.0.2.7")]
    assert reached(subject, "IPv6", settings) == [("ClusterIP", "fd00::1"), ("ExternalIP", "2001:db8::7")]
    listed = "it is in none of externalIPRanges 192.0.2.0/24, 2001:db8::/64"
    assert [note for note in address_notes(subject, families_of(subject), settings) if "address" in note] == [
        f"address 198.51.100.7: {listed}",
        f"address 198.51.100.8: {listed}",
    ]
