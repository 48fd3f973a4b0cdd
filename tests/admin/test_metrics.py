"""What Prometheus reads, as its own parser and promtool understand it."""

import asyncio
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.answer_counts import AnswerCounts
from proxy.admin.metrics import exposition
from proxy.control.sync_metrics import SyncMetrics
from proxy.model.source_statistics import ResourceStatistics
from proxy.reports.report import ProxyStatistics
from proxy.reports.traffic_report import PortTraffic, Traffic
from proxy.shared_counts.layout import POOLS, PoolCell
from tests.admin.inspected import FakeProxy

REASONS = ("client_closed", "connect_refused")


def cells(**counts: int) -> list[int]:
    row = [0] * POOLS.width
    for name, count in counts.items():
        row[PoolCell[name]] = count
    return row


def busy_proxy() -> FakeProxy:
    proxy = FakeProxy()
    proxy.measurements = SyncMetrics(datetime.now(UTC)).registry
    proxy.resources = (ResourceStatistics("services", 5, 0, 1, 2, 3, 4, 0.5), _NEVER_HEARD)
    everything = cells(**dict.fromkeys(PoolCell.__members__, 1))
    proxy.passed = Traffic(
        REASONS,
        (
            PortTraffic("shop", "web", "http", "TCP", 3, everything, dropped={"source_ranges": 2}),
            PortTraffic("shop", "dns", "", "UDP", 1, everything),
        ),
    )
    return proxy


_NEVER_HEARD = ResourceStatistics("nodes", 0, 0, 0, 0, 0, 0, None)


async def page_of(proxy: FakeProxy, counts: AnswerCounts | None = None) -> str:
    return b"".join([piece async for piece in exposition(proxy, counts or AnswerCounts())]).decode()


async def samples(proxy: FakeProxy, counts: AnswerCounts | None = None) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and the values of the labels."""
    text = await page_of(proxy, counts)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_every_count_of_the_proxy_is_a_sample() -> None:
    found = await samples(FakeProxy())
    assert found["svcproxy_services", ()] == 3
    assert found["svcproxy_affinity_evictions_total", ()] == 12
    assert found["svcproxy_serving_known_state", ()] == 1
    assert found["svcproxy_known_state_timestamp_seconds", ()] == datetime(2026, 3, 1, tzinfo=UTC).timestamp()


async def test_answers_of_dns_are_counted_by_type_and_code() -> None:
    found = await samples(FakeProxy())
    assert found["svcproxy_dns_answers_total", ("NOERROR", "udp", "A")] == 7
    assert found["svcproxy_dns_names", ()] == 2
    assert found["svcproxy_dns_dropped_total", ()] == 0


async def test_a_proxy_that_follows_its_origin_has_no_time_of_the_past() -> None:
    proxy = FakeProxy()
    statistics = proxy.statistics()
    proxy.statistics = lambda: ProxyStatistics(*(0,) * 4, "", *(0,) * 7)  # type: ignore[method-assign]
    found = await samples(proxy)
    assert statistics.known_state_of
    assert found["svcproxy_serving_known_state", ()] == 0
    assert ("svcproxy_known_state_timestamp_seconds", ()) not in found


async def test_answers_about_health_are_counted_by_status() -> None:
    counts = AnswerCounts()
    counts.count("/healthz", 503)
    counts.count("/livez", 200)
    found = await samples(FakeProxy(), counts)
    assert found["kubeproxy_proxy_healthz_total", ("503",)] == 1
    assert found["kubeproxy_proxy_healthz_total", ("200",)] == 0
    assert found["kubeproxy_proxy_livez_total", ("200",)] == 1


async def test_workers_and_resources_have_their_own_series() -> None:
    found = await samples(busy_proxy())
    assert found["svcproxy_workers_running", ()] == 1
    assert found["svcproxy_worker_tcp_connections", ("0",)] == 7
    assert found["svcproxy_worker_loop_lag_seconds_bucket", ("0.0025", "0")] == 1
    assert found["svcproxy_worker_loop_lag_seconds_bucket", ("2.5", "0")] == 55
    assert found["svcproxy_worker_loop_lag_seconds_count", ("0",)] == 57
    assert found["svcproxy_worker_loop_lag_seconds_sum", ("0",)] == 1.5
    assert found["svcproxy_watch_lists_total", ("services",)] == 2
    assert found["svcproxy_watch_decode_errors_total", ("services",)] == 4
    assert found["svcproxy_watch_age_seconds", ("services",)] == 0.5
    assert ("svcproxy_watch_age_seconds", ("nodes",)) not in found


async def test_nothing_says_when_a_counter_was_made() -> None:
    assert not [name for name, _ in await samples(busy_proxy()) if name.endswith("_created")]


async def test_the_loop_gets_its_turns_while_ten_thousand_services_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.admin.metrics.TURN", 0.0)
    proxy = FakeProxy()
    row = cells(OPENED=1)
    proxy.passed = Traffic(REASONS, (PortTraffic("shop", f"web-{n}", "", "TCP", 1, row) for n in range(10_000)))
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    found = await samples(proxy)
    counting.cancel()
    assert found["svcproxy_connections_opened_total", ("shop", "web-9999", "")] == 1
    assert turns >= 10_000


@pytest.mark.requires("promtool")
async def test_promtool_finds_nothing_to_say() -> None:
    program = shutil.which("promtool") or "promtool"
    text = (await page_of(busy_proxy())).encode()
    done = subprocess.run([program, "check", "metrics"], input=text, capture_output=True, check=False)  # noqa: ASYNC221
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
