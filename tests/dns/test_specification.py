"""Every row of the Kubernetes DNS specification 1.1, and what it says of names that are not there, as a table."""

from typing import Any

import dns.message
import dns.rcode
import pytest

from proxy.dns.name_index import NameIndex
from proxy.model.changes import Changes
from tests.dns.asking import Client
from tests.dns.objects import alias, service

ZONE = "cluster.local."
SVC = f"default.svc.{ZONE}"

ROWS = [
    # 2.2: the version of the specification
    (f"dns-version.{ZONE}", "TXT", ['"1.1.0"']),
    # 2.3.1: addresses of Services that have some
    (f"web.{SVC}", "A", ["10.96.1.1"]),
    (f"web.{SVC}", "AAAA", ["fd00:96::1:1"]),
    (f"bare.{SVC}", "A", ["10.96.1.2"]),
    # 2.3.2: SRV of named ports
    (f"_http._tcp.web.{SVC}", "SRV", [f"0 100 80 web.{SVC}"]),
    (f"_dns._udp.web.{SVC}", "SRV", [f"0 100 53 web.{SVC}"]),
    # 2.3.3: PTR of their addresses
    ("1.1.96.10.in-addr.arpa.", "PTR", [f"web.{SVC}"]),
    ("1.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa.", "PTR", [f"web.{SVC}"]),
    # 2.4.1: addresses of headless Services: the ready endpoints', or all of them
    (f"pods.{SVC}", "A", ["10.244.1.1", "10.244.1.2"]),
    (f"pods.{SVC}", "AAAA", ["2001:db8::1"]),
    (f"all.{SVC}", "A", ["10.244.1.1", "10.244.1.2", "10.244.1.3"]),
    # 2.4.1: their endpoints' own names
    (f"one.pods.{SVC}", "A", ["10.244.1.1"]),
    (f"one.pods.{SVC}", "AAAA", ["2001:db8::1"]),
    (f"10-244-1-1.pods.{SVC}", "A", ["10.244.1.1"]),
    (f"10-244-1-2.pods.{SVC}", "A", ["10.244.1.2"]),
    (f"2001-db8--1.pods.{SVC}", "AAAA", ["2001:db8::1"]),
    (f"three.all.{SVC}", "A", ["10.244.1.3"]),
    # ... which several endpoints may share, in both families
    (f"both.dual.{SVC}", "A", ["10.244.2.1", "10.244.2.2"]),
    (f"both.dual.{SVC}", "AAAA", ["2001:db8:0:1::2"]),
    (f"10-244-2-2.dual.{SVC}", "A", ["10.244.2.2"]),
    (f"2001-db8-0-1--2.dual.{SVC}", "AAAA", ["2001:db8:0:1::2"]),
    # 2.4.2: SRV, one for each endpoint and named port, with the endpoint's port
    (f"_http._tcp.pods.{SVC}", "SRV", [f"0 50 8080 10-244-1-2.pods.{SVC}", f"0 50 8080 one.pods.{SVC}"]),
    (f"_http._tcp.all.{SVC}", "SRV", [f"0 33 8080 {host}.all.{SVC}" for host in ("one", "10-244-1-2", "three")]),
    (f"_http._tcp.dual.{SVC}", "SRV", [f"0 100 8080 both.dual.{SVC}"]),
    (f"_dns._udp.dual.{SVC}", "SRV", [f"0 100 5353 both.dual.{SVC}"]),
    # 2.4.3: PTR of endpoints
    ("1.1.244.10.in-addr.arpa.", "PTR", [f"one.all.{SVC}", f"one.pods.{SVC}"]),
    ("3.1.244.10.in-addr.arpa.", "PTR", [f"three.all.{SVC}"]),
    ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "PTR", [f"one.pods.{SVC}"]),
    ("2.1.244.10.in-addr.arpa.", "PTR", [f"10-244-1-2.all.{SVC}", f"10-244-1-2.pods.{SVC}"]),
    ("2.2.244.10.in-addr.arpa.", "PTR", [f"both.dual.{SVC}"]),
    # 2.5: ExternalName
    (f"outside.{SVC}", "CNAME", ["foo.bar.example.com."]),
    (f"outside.{SVC}", "A", ["foo.bar.example.com."]),
    (f"outside.{SVC}", "MX", ["foo.bar.example.com."]),
    # ... that leads to another Service
    (f"inside.{SVC}", "A", [f"web.{SVC}", "10.96.1.1"]),
    # 2.6: Pods by their addresses (deprecated)
    (f"10-244-1-9.default.pod.{ZONE}", "A", ["10.244.1.9"]),
    (f"2001-db8--9.default.pod.{ZONE}", "AAAA", ["2001:db8::9"]),
    # beyond it, as CoreDNS: SRV of all ports, which peer finders ask for
    (f"pods.{SVC}", "SRV", [f"0 50 8080 10-244-1-2.pods.{SVC}", f"0 50 8080 one.pods.{SVC}"]),
    (f"dual.{SVC}", "SRV", [f"0 50 8080 both.dual.{SVC}", f"0 50 5353 both.dual.{SVC}"]),
    (f"unnamed.{SVC}", "SRV", [f"0 100 8080 10-244-3-1.unnamed.{SVC}"]),
    # the zone itself
    (ZONE, "ANY", [f"ns.dns.{ZONE} hostmaster.{ZONE} 1 7200 1800 86400 5"]),
    ("96.10.in-addr.arpa.", "NS", [f"ns.dns.{ZONE}"]),
    ("96.10.in-addr.arpa.", "SOA", [f"ns.dns.{ZONE} hostmaster.{ZONE} 1 7200 1800 86400 5"]),
    (ZONE, "NS", [f"ns.dns.{ZONE}"]),
    (f"ns.dns.{ZONE}", "A", ["10.96.0.10"]),
    (ZONE, "SOA", [f"ns.dns.{ZONE} hostmaster.{ZONE} 1 7200 1800 86400 5"]),
]

NODATA = [
    (f"web.{SVC}", "MX"),
    (f"bare.{SVC}", "AAAA"),
    (f"one.all.{SVC}", "AAAA"),
    (f"_http._tcp.web.{SVC}", "A"),
    (f"_tcp.web.{SVC}", "SRV"),
    (f"_tcp.web.{SVC}", "A"),
    (f"_tcp.pods.{SVC}", "SRV"),
    (f"_udp.web.{SVC}", "A"),
    (f"_udp.dual.{SVC}", "A"),
    (f"bare.{SVC}", "TXT"),
    (f"unnamed.{SVC}", "AAAA"),
    (f"10-244-1-1.pods.{SVC}", "AAAA"),
    (f"dns.{ZONE}", "A"),
    (f"ns.dns.{ZONE}", "AAAA"),
    (f"svc.{ZONE}", "NS"),
    (f"svc.{ZONE}", "SOA"),
    (SVC, "SOA"),
    (SVC, "ANY"),
    ("1.1.96.10.in-addr.arpa.", "A"),
    ("96.10.in-addr.arpa.", "PTR"),
    ("1.96.10.in-addr.arpa.", "PTR"),
    (f"dns-version.{ZONE}", "A"),
    (SVC, "A"),
    (f"svc.{ZONE}", "A"),
    (f"pod.{ZONE}", "A"),
    (f"default.pod.{ZONE}", "A"),
    (f"10-244-1-9.default.pod.{ZONE}", "AAAA"),
    (ZONE, "A"),
]

NXDOMAIN = [
    (f"nobody.{SVC}", "A"),
    (f"empty.{SVC}", "A"),  # headless, none ready
    (f"_http._tcp.empty.{SVC}", "SRV"),
    (f"web.elsewhere.svc.{ZONE}", "A"),
    (f"elsewhere.svc.{ZONE}", "A"),
    (f"_tcp.bare.{SVC}", "SRV"),  # its port has no name
    (f"_http._udp.web.{SVC}", "SRV"),
    (f"_http._tcp.unnamed.{SVC}", "SRV"),
    (f"_tcp.unnamed.{SVC}", "SRV"),
    (f"_http._tcp.nobody.{SVC}", "SRV"),
    (f"_http._tcp.outside.{SVC}", "SRV"),
    (f"10-244-1-3.pods.{SVC}", "A"),  # not ready
    (f"10-244-9-9.empty.{SVC}", "A"),
    (f"10-96-1-1.web.{SVC}", "A"),
    (f"www.dns-version.{ZONE}", "TXT"),
    (f"one.10-244-1-1.pods.{SVC}", "A"),
    (f"ns.svc.{ZONE}", "A"),
    (f"three.pods.{SVC}", "A"),  # not ready
    (f"one.web.{SVC}", "A"),  # not headless
    (f"below.outside.{SVC}", "A"),
    (f"10-244-1.default.pod.{ZONE}", "A"),
    (f"10-244-1-256.default.pod.{ZONE}", "A"),
    (f"10-244-1-9.elsewhere.pod.{ZONE}", "A"),
    (f"10\\.244\\.1\\.9.default.pod.{ZONE}", "A"),  # one label, with dots
    (f"2001:db8::9.default.pod.{ZONE}", "AAAA"),
    (f"fe80--1%eth0.default.pod.{ZONE}", "AAAA"),
    (f"a.10-244-1-9.default.pod.{ZONE}", "A"),
    ("9.9.96.10.in-addr.arpa.", "PTR"),
    (f"nothing.{ZONE}", "A"),
]


SOA_BYTES = 80
"""Of the SOA record of `cluster.local` in an answer, names compressed."""


def answers_counted(index: NameIndex, name: str, record_type: str) -> int:
    """How many records the header of the answer says."""
    response = Client(index).responder.respond(dns.message.make_query(name, record_type).to_wire())
    assert isinstance(response, bytes)
    return int.from_bytes(response[6:8], "big")


def values(message: Any) -> list[str]:
    return [data.to_text() for records in message.answer for data in records]


@pytest.mark.parametrize(("name", "record_type", "expected"), ROWS)
def test_a_row_of_the_specification(client: Any, name: str, record_type: str, expected: list[str]) -> None:
    message = client.ask(name, record_type)
    assert message.rcode() == dns.rcode.NOERROR
    assert sorted(values(message)) == sorted(expected)
    assert {records.ttl for records in message.answer} == {5}
    assert message.flags & dns.flags.AA
    assert values(client.ask(name.upper(), record_type)) or expected == []


@pytest.mark.parametrize(("name", "record_type"), NODATA)
def test_a_known_name_without_the_type_is_no_error_with_the_soa(client: Any, name: str, record_type: str) -> None:
    message = client.ask(name, record_type)
    assert message.rcode() == dns.rcode.NOERROR
    assert message.answer == []
    assert is_soa_of(message, "10.in-addr.arpa." if "arpa" in name else ZONE)


@pytest.mark.parametrize(("name", "record_type"), NXDOMAIN)
def test_an_unknown_name_is_nxdomain_with_the_soa(client: Any, name: str, record_type: str) -> None:
    message = client.ask(name, record_type)
    assert message.rcode() == dns.rcode.NXDOMAIN
    assert message.answer == []
    assert is_soa_of(message, "10.in-addr.arpa." if "arpa" in name else ZONE)


def is_soa_of(message: Any, zone: str) -> bool:
    """Whether the authority section is the SOA record of the zone, which may be kept for five seconds."""
    (records,) = message.authority
    return str(records.name).endswith(zone) and records.ttl == 5 and records[0].minimum == 5


@pytest.mark.parametrize("name", ["www.example.com.", "1.1.168.192.in-addr.arpa.", "local.", "."])
def test_other_zones_are_refused_where_there_is_no_upstream(client: Any, name: str) -> None:
    message = client.ask(name)
    assert message.rcode() == dns.rcode.REFUSED
    assert not message.flags & dns.flags.AA


def test_a_circle_of_external_names_is_a_failure_and_not_a_hang(client: Any) -> None:
    assert client.ask(f"ring.{SVC}").rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("length", range(1, 10))
def test_a_circle_of_external_names_gives_each_alias_once(length: int) -> None:
    index = NameIndex("cluster.local", ("10.96.0.0/12",))
    targets = [f"alias{(number + 1) % length}.{SVC}" for number in range(length)]
    index.apply(Changes(services=tuple(alias(f"alias{number}", target) for number, target in enumerate(targets))))
    message = Client(index).ask(f"alias0.{SVC}")
    assert message.rcode() == dns.rcode.SERVFAIL
    told = values(message)
    assert told == targets[: len(told)]
    assert len(told) == len(set(told)) == min(length, 8)
    assert answers_counted(index, f"alias0.{SVC}", "A") == len(told)


def test_a_circle_that_the_question_does_not_belong_to_gives_each_alias_once() -> None:
    index = NameIndex("cluster.local", ("10.96.0.0/12",))
    index.apply(
        Changes(
            services=(
                alias("start", f"one.{SVC}"),
                alias("one", f"two.{SVC}"),
                alias("two", f"one.{SVC}"),
            )
        )
    )
    message = Client(index).ask(f"start.{SVC}")
    assert message.rcode() == dns.rcode.SERVFAIL
    assert sorted(str(records.name) for records in message.answer) == [f"one.{SVC}", f"start.{SVC}", f"two.{SVC}"]
    assert answers_counted(index, f"start.{SVC}", "A") == 3


def test_a_port_of_two_protocols_is_one_srv_record_of_the_service() -> None:
    index = NameIndex("cluster.local", ("10.96.0.0/12",))
    ports = [("t", "TCP", 53), ("u", "UDP", 53), ("metrics", "TCP", 9153)]
    index.apply(Changes(services=(service("both", "10.96.0.7", ports=ports),)))
    message = Client(index).ask(f"both.{SVC}", "SRV")
    assert sorted(values(message)) == [f"0 100 53 both.{SVC}", f"0 100 9153 both.{SVC}"]
    # dnspython makes one of two equal records.
    assert answers_counted(index, f"both.{SVC}", "SRV") == 2
    assert values(Client(index).ask(f"_u._udp.both.{SVC}", "SRV")) == [f"0 100 53 both.{SVC}"]


@pytest.mark.parametrize("name", ["nobody", "a", "x" * 63])
def test_an_absent_name_is_longer_than_its_question_by_the_soa_record_alone(client: Any, name: str) -> None:
    query = dns.message.make_query(f"{name}.{SVC}", "A")
    response = client.responder.respond(query.to_wire())
    assert len(response) - len(query.to_wire()) <= SOA_BYTES


def test_srv_brings_the_addresses_of_its_targets(client: Any) -> None:
    message = client.ask(f"_http._tcp.pods.{SVC}", "SRV", use_edns=0, payload=1232)
    found = {(str(records.name), data.to_text()) for records in message.additional for data in records}
    assert found == {
        (f"one.pods.{SVC}", "10.244.1.1"),
        (f"one.pods.{SVC}", "2001:db8::1"),
        (f"10-244-1-2.pods.{SVC}", "10.244.1.2"),
    }


def test_another_zone_has_the_same_names() -> None:
    index = NameIndex("example.internal", ("10.0.0.0/24",))
    index.apply(Changes(services=(service("web", "10.0.0.7", ports=[("http", "TCP", 80)]),)))
    client = Client(index)
    assert values(client.ask("web.default.svc.example.internal.")) == ["10.0.0.7"]
    assert values(client.ask("7.0.0.10.in-addr.arpa.", "PTR")) == ["web.default.svc.example.internal."]
    assert client.ask("web.default.svc.cluster.local.").rcode() == dns.rcode.REFUSED
