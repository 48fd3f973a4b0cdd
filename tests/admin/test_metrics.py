"""What Prometheus reads, as its own parser understands it."""

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.metrics import exposition
from proxy.admin.report import ProxyStatistics

NOW = ProxyStatistics(
    services=1,
    frontends=2,
    unbound_frontends=3,
    problems=4,
    known_state_of="",
    tcp_connections=5,
    udp_flows=6,
    affinity_entries=7,
    affinity_hits_total=8,
    affinity_misses_total=9,
    affinity_evictions_total=10,
    affinity_expirations_total=11,
)


def samples(statistics: ProxyStatistics) -> dict[str, float]:
    families = text_string_to_metric_families(exposition(statistics).decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_every_count_is_a_sample_of_its_name() -> None:
    counts = {name: value for name, value in msgspec.structs.asdict(NOW).items() if name != "known_state_of"}
    assert samples(NOW) == {f"svcproxy_{name}": value for name, value in counts.items()} | {
        "svcproxy_serving_known_state": 0.0
    }


def test_a_state_of_the_past_says_so_and_when_it_was() -> None:
    found = samples(msgspec.structs.replace(NOW, known_state_of="1970-01-01T00:01:00+00:00"))
    assert found["svcproxy_serving_known_state"] == 1.0
    assert found["svcproxy_known_state_timestamp_seconds"] == 60.0
