"""Hosts are made once a slice, and again where anything that they come from is another."""

from proxy.dns.slice_hosts import SliceHosts, dashed
from proxy.dns.wire_name import wire_name
from tests.dns.objects import endpoint, endpoint_slice, named_port

OWN = wire_name("pods.default.svc.cluster.local")
PODS = endpoint_slice("pods", "s", [endpoint("10.0.0.1", hostname="one"), endpoint("10.0.0.2", ready=False)])


def test_the_same_slice_gives_the_same_hosts() -> None:
    hosts = SliceHosts()
    made = hosts.of(PODS, OWN, False)
    assert [host.address for host in made] == ["10.0.0.1"]
    assert hosts.of(PODS, OWN, False) is made


def test_another_slice_name_or_wish_gives_others() -> None:
    hosts = SliceHosts()
    hosts.of(PODS, OWN, False)
    assert [host.address for host in hosts.of(PODS, OWN, True)] == ["10.0.0.1", "10.0.0.2"]
    other = wire_name("other.default.svc.cluster.local")
    assert hosts.of(PODS, other, False)[0].name == wire_name("one.other.default.svc.cluster.local")
    newer = endpoint_slice("pods", "s", [endpoint("10.0.0.3")], [named_port("http", 80)])
    assert [(host.address, host.ports) for host in hosts.of(newer, OWN, False)] == [
        ("10.0.0.3", (("http", "TCP", 80),))
    ]


def test_what_is_gone_is_forgotten() -> None:
    hosts = SliceHosts()
    made = hosts.of(PODS, OWN, False)
    hosts.forget([("default", "unknown"), PODS.key])
    assert hosts.of(PODS, OWN, False) is not made


def test_addresses_are_labels_in_corednss_form() -> None:
    assert (dashed("10.0.0.1"), dashed("2001:db8::1")) == ("10-0-0-1", "2001-db8--1")
