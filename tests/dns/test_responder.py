"""What is kept, for how long, and how much of it; and what is counted."""

import tracemalloc
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest

from proxy.dns.message import write
from proxy.dns.name_index import NameIndex
from proxy.model.changes import Changes
from tests.dns.asking import PODS, WEB, Client, additional, addresses
from tests.dns.objects import crowd, service


def test_a_change_is_in_the_next_answer(index: NameIndex, client: Client) -> None:
    for _ in range(2):
        assert addresses(client.ask(PODS)) != []
        assert client.ask("new.default.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN
    index.apply(Changes(services=(service("new", "10.96.7.7"),), removed_services=(("default", "pods"),)))
    assert addresses(client.ask("new.default.svc.cluster.local.")) == ["10.96.7.7"]
    assert client.ask(PODS).rcode() == dns.rcode.NXDOMAIN


def test_a_pod_is_found_by_its_address_as_soon_as_its_namespace_is_known(index: NameIndex, client: Client) -> None:
    name = "10-244-1-9.late.pod.cluster.local."
    assert client.ask(name).rcode() == dns.rcode.NXDOMAIN
    index.apply(Changes(services=(service("first", "10.96.7.7", namespace="late"),)))
    assert addresses(client.ask(name)) == ["10.244.1.9"]
    index.apply(Changes(removed_services=(("late", "first"),)))
    assert client.ask(name).rcode() == dns.rcode.NXDOMAIN


def test_the_name_server_of_the_zone_is_where_it_is_now(index: NameIndex, client: Client) -> None:
    assert additional(client.ask("cluster.local.", "NS")) == [("ns.dns.cluster.local.", "10.96.0.10")]
    index.serve_at(["10.96.0.10", "fd00:96::a"])
    assert additional(client.ask("cluster.local.", "NS")) == [
        ("ns.dns.cluster.local.", "10.96.0.10"),
        ("ns.dns.cluster.local.", "fd00:96::a"),
    ]


def test_any_is_answered_with_one_set_of_records(client: Client) -> None:
    message = client.ask(WEB, "ANY")
    assert addresses(message) == ["10.96.1.1"]
    assert client.ask("svc.cluster.local.", "ANY").answer == []


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch, index: NameIndex) -> None:
    monkeypatch.setattr("proxy.dns.responder.KEPT_MESSAGES", 50)
    client = Client(index)
    for number in range(500):
        client.ask(f"n{number}.default.svc.cluster.local.")
        client.ask(WEB, use_edns=0, payload=512 + number)
    assert client.responder.kept <= 100


def test_few_messages_are_written_whatever_a_stranger_varies(monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0

    def counted(*arguments: Any) -> Any:
        nonlocal written
        written += 1
        return write(*arguments)

    monkeypatch.setattr("proxy.dns.responder.write", counted)
    responder = Client(crowd(100)).responder
    for flags in (0, dns.flags.RD, dns.flags.AD, dns.flags.CD, dns.flags.RD | dns.flags.CD):
        for size in range(1, 2000, 3):
            for do in (False, True):
                query = dns.message.make_query(PODS, "A", flags=flags, use_edns=0, payload=size, want_dnssec=do)
                responder.respond(query.to_wire())
    assert written <= 200


def test_what_is_kept_takes_a_bounded_part_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of those messages that only their shortcuts still know."""
    monkeypatch.setattr("proxy.dns.responder.KEPT_BYTES", 100_000)
    responder = Client(crowd(1000)).responder
    queries = [
        dns.message.make_query(PODS, "A", flags=flags, use_edns=0, payload=size).to_wire()
        for flags in (0, dns.flags.RD)
        for size in range(512, 1233, 48)
    ]
    responder.respond(queries[0])
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for query in queries:
            responder.respond(query)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 500_000  # a message holds the thousand addresses twice, 32 KB


def test_answers_are_counted_by_type_and_code(client: Client) -> None:
    for _ in range(3):
        client.ask(WEB)
    client.ask(WEB, "TYPE4711")
    client.ask("nobody.default.svc.cluster.local.", "AAAA")
    client.ask("example.com.")
    client.responder.respond(b"\x00" * 12)
    counts = {(each.record_type, each.rcode): each.answers for each in client.responder.counter.answers()}
    assert counts == {
        ("A", "NOERROR"): 3,
        ("other", "NOERROR"): 1,
        ("AAAA", "NXDOMAIN"): 1,
        ("A", "REFUSED"): 1,
        ("none", "FORMERR"): 1,
    }
