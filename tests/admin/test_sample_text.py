"""Samples as text, read by Prometheus's own parser."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.sample_text import CounterText, HistogramText, ReasonText

LABELS = {"namespace": "shop", "service": "web", "zone": "fe80::1%eth0"}
TEXT = ",".join(f'{name}="{value}"' for name, value in LABELS.items()).encode()
BOUNDS = (0.001, 0.5, 10.0)


def samples(text: bytes, kind: str) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families(f"# TYPE x {kind}\n{text.decode()}")
    return [(sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples]


@given(st.integers(0, 2**63 - 1))
def test_a_counter_has_its_labels_and_value(value: int) -> None:
    text = CounterText("x_total").of(TEXT, value)
    assert samples(text, "counter") == [("x_total", LABELS, value)]
    assert text.endswith(b" %d\n" % value)


def test_a_reason_is_one_more_label() -> None:
    found = samples(ReasonText("x_total").of(TEXT, b"no_endpoints", 3), "counter")
    assert found == [("x_total", LABELS | {"reason": "no_endpoints"}, 3.0)]


@given(
    st.lists(st.integers(0, 2**60), min_size=len(BOUNDS) + 1, max_size=len(BOUNDS) + 1),
    st.floats(0, 1e12),
)
def test_a_histogram_is_cumulative_has_every_bound_and_ends_with_sum_and_count(counts: list[int], total: float) -> None:
    text = HistogramText("x", BOUNDS)
    assert text.buckets == len(counts)
    found = samples(text.of(TEXT, counts, total), "histogram")
    buckets = [
        ("x_bucket", LABELS | {"le": bound}, sum(counts[: place + 1]))
        for place, bound in enumerate(("0.001", "0.5", "10.0", "+Inf"))
    ]
    assert found[:-2] == buckets
    assert found[-2][:2] == ("x_sum", LABELS)
    assert math.isclose(found[-2][2], total)
    assert found[-1] == ("x_count", LABELS, sum(counts))
