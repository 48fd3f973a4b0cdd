"""What upstream said is repeated for as long as it may be, and counted down."""

from typing import Any

import dns.rdata
import pytest

from proxy.dns.answer import Record
from proxy.dns.record_types import NXDOMAIN, SERVFAIL, A
from proxy.dns.resolution import Resolution, ResolutionCache, lifetime
from proxy.dns.wire_name import wire_name


def record(name: str, ttl: int, record_type: str, value: str) -> Record:
    data = dns.rdata.from_text("IN", record_type, value)
    return Record(wire_name(name), int(data.rdtype), ttl, data.to_wire() or b"")


ADDRESS = record("www.example.", 60, "A", "192.0.2.1")
ALIAS = record("www.example.", 20, "CNAME", "other.example.")
LONG = record("www.example.", 100_000, "A", "192.0.2.1")
SOA = record("example.", 90, "SOA", "ns.example. me.example. 1 2 3 4 30")
SHORT_SOA = record("example.", 10, "SOA", "ns.example. me.example. 1 2 3 4 30")
LONG_SOA = record("example.", 9000, "SOA", "ns.example. me.example. 1 2 3 4 9000")


@pytest.mark.parametrize(
    ("resolution", "seconds"),
    [
        (Resolution(0, (ADDRESS,)), 60),
        (Resolution(0, (ALIAS, ADDRESS)), 20),
        (Resolution(0, (LONG,)), 3600),
        (Resolution(0, (), (SOA,)), 30),
        (Resolution(0, (), (SHORT_SOA,)), 10),
        (Resolution(0, (ALIAS,), (SOA,)), 20),
        (Resolution(NXDOMAIN, (), (SOA,)), 30),
        (Resolution(NXDOMAIN, (), (LONG_SOA,)), 300),
        (Resolution(NXDOMAIN), 0),
        (Resolution(0), 0),
        (Resolution(SERVFAIL, (ADDRESS,)), 0),
    ],
)
def test_a_resolution_lives_as_long_as_its_shortest_record(resolution: Resolution, seconds: float) -> None:
    assert lifetime(A, resolution) == seconds


def test_it_is_repeated_with_its_time_counted_down_until_there_is_none() -> None:
    cache = ResolutionCache()
    cache.put("key", A, Resolution(0, (ADDRESS,), (SOA,)), 100.0)
    assert ttl(cache.get("key", 100.0)) == 60
    assert ttl(cache.get("key", 130.5)) == 30
    assert cache.get("key", 160.0) is None
    assert len(cache) == 0
    assert ADDRESS.ttl == 60


def ttl(resolution: Any) -> int:
    return int(resolution.answer[0].ttl)


def test_the_least_recently_used_leaves_first() -> None:
    cache = ResolutionCache(entries=2)
    for key in ("a", "b"):
        cache.put(key, A, Resolution(0, (ADDRESS,)), 0.0)
    cache.get("a", 1.0)
    cache.put("c", A, Resolution(0, (ADDRESS,)), 1.0)
    assert [key for key in "abc" if cache.get(key, 2.0)] == ["a", "c"]


def test_what_must_not_be_repeated_is_not_kept() -> None:
    cache = ResolutionCache()
    cache.put("a", A, Resolution(SERVFAIL), 0.0)
    cache.put("b", A, Resolution(0, (ADDRESS,) * 200), 0.0)
    assert len(cache) == 0
