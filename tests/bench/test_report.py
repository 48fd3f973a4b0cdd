"""The benchmark's arithmetic: medians, ratios, marks and the parser of wrk's output. Nothing here measures anything."""

import load_wrk
import pytest
from load_wrk import LoadFailedError
from paced_load import arrivals
from percentile import percentile
from report import BOUND_MARK, compare, disturbances, markdown, readable, render, summarize
from sample import Better, Figure, Sample

RATE = Figure("rate", "requests/s", Better.MORE, limited_by_load=True)
CPU = Figure("cpu", "µs", Better.LESS)
LAG = Figure("lag", "µs", Better.LESS, compared=False)
COLUMNS = {"requests": (RATE, CPU, LAG)}


def sample(
    subject: str, rate: float, cpu: float, number: int = 0, proxy: float = 0.95, load: float = 0.5, others: float = 0.0
) -> Sample:
    return Sample("requests", subject, number, {"rate": rate, "cpu": cpu, "lag": 1.0}, proxy, load, others)


def test_a_spread_is_the_median_and_the_range_of_the_rounds() -> None:
    table = summarize([sample("svcproxy", rate, 1.0) for rate in (300.0, 100.0, 110.0)], COLUMNS)
    spread = table["requests", "rate"]["svcproxy"]
    assert (spread.median, spread.low, spread.high) == (110.0, 100.0, 300.0)
    assert str(spread) == "110 (100–300)"


def test_a_ratio_above_one_means_svcproxy_is_ahead_whichever_way_the_figure_points() -> None:
    samples = [sample("svcproxy", 200.0, 10.0), sample("haproxy", 100.0, 20.0), sample("nginx", 50.0, 40.0)]
    rate, cpu = compare(summarize(samples, COLUMNS), COLUMNS)
    assert (rate.peer, rate.ratio) == ("haproxy", 2.0)
    assert (cpu.peer, cpu.ratio) == ("haproxy", 2.0)


def test_what_is_no_peer_is_not_compared_with() -> None:
    uncompared = [sample(name, 900.0, 1.0) for name in ("svcproxy compiled", "bare loop", "direct")]
    samples = [sample("svcproxy", 200.0, 10.0), sample("haproxy", 100.0, 20.0), *uncompared]
    assert {each.peer for each in compare(summarize(samples, COLUMNS), COLUMNS)} == {"haproxy"}


def test_each_figure_is_compared_with_the_peer_that_is_best_at_it() -> None:
    samples = [sample("svcproxy", 100.0, 10.0), sample("haproxy", 400.0, 20.0), sample("nginx", 50.0, 5.0)]
    rate, cpu = compare(summarize(samples, COLUMNS), COLUMNS)
    assert (rate.peer, rate.ratio) == ("haproxy", 0.25)
    assert (cpu.peer, cpu.ratio) == ("nginx", 0.5)


def test_the_direct_connection_is_no_peer() -> None:
    assert compare(summarize([sample("svcproxy", 1.0, 1.0), sample("direct", 9.0, 9.0)], COLUMNS), COLUMNS) == []


@pytest.mark.parametrize(("proxy", "load", "bound"), [(0.6, 0.97, True), (0.95, 0.97, False), (0.6, 0.5, False)])
def test_a_rate_is_generator_bound_when_only_the_loads_core_was_full(proxy: float, load: float, bound: bool) -> None:
    samples = [sample("svcproxy", 200.0, 10.0, proxy=proxy, load=load), sample("haproxy", 100.0, 20.0)]
    rate, cpu = compare(summarize(samples, COLUMNS), COLUMNS)
    assert (rate.generator_bound, cpu.generator_bound) == (bound, False)


def test_the_report_shows_ratios_marks_and_what_the_mark_means() -> None:
    samples = [sample("svcproxy", 200.0, 10.0, proxy=0.1, load=1.0), sample("haproxy", 100.0, 20.0)]
    text = render(summarize(samples, COLUMNS), COLUMNS, {"requests": "requests"}, ["svcproxy", "haproxy", "nginx"])
    assert f"| 2.00{BOUND_MARK} " in text
    assert f"| 200{BOUND_MARK} " in text
    assert f"{BOUND_MARK} generator-bound" in text


def test_a_subject_without_a_figure_gets_a_dash() -> None:
    text = render(summarize([sample("nginx", 1.0, 1.0)], COLUMNS), COLUMNS, {"requests": "r"}, ["nginx", "haproxy"])
    assert all(line.endswith("| –       |") for line in text.splitlines()[2:])


def test_disturbed_measurements_are_counted() -> None:
    samples = [sample("svcproxy", 1.0, 1.0, others=0.3), sample("haproxy", 1.0, 1.0, others=0.02)]
    assert "1 of 2 measurements (up to 30%)" in disturbances(samples)
    assert disturbances(samples[1:]) == ""


def test_columns_are_padded_to_the_widest_cell() -> None:
    assert markdown(("a", "b"), [("long", "x")]) == "| a    | b |\n| ---- | - |\n| long | x |"


@pytest.mark.parametrize(("value", "text"), [(12345.6, "12,346"), (99.94, "99.9"), (1.234, "1.23"), (0.0, "0.00")])
def test_numbers_keep_three_digits(value: float, text: str) -> None:
    assert readable(value) == text


def test_percentiles_are_values_of_the_list() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert [percentile([1.0, 2.0, 3.0], share) for share in (0.3, 0.5, 0.7)] == [1.0, 2.0, 3.0]
    assert percentile([7.0], 0.99) == 7.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_the_schedule_is_the_same_every_time_and_ends_in_time() -> None:
    times = arrivals(1000.0, 2.0)
    assert times == arrivals(1000.0, 2.0) == sorted(times)
    assert 0.0 < times[0] <= times[-1] < 2.0
    assert len(times) == pytest.approx(2000, rel=0.1)


def test_wrk_results_are_read_from_its_json_line() -> None:
    line = '{"requests": 1000, "microseconds": 500000, "errors": 0, "p50": 120, "p99": 900}'
    result = load_wrk.parse(f"Running 1s test @ http://127.0.0.1/\n{line}\n")
    assert (result.rate, result.p50, result.p99) == (2000.0, 120.0, 900.0)


@pytest.mark.parametrize(
    "output",
    [
        "unable to connect to 127.0.0.1:1 Connection refused\n",
        '{"requests": 1000, "microseconds": 1, "errors": 1, "p50": 1, "p99": 1}',
        '{"requests": 0, "microseconds": 1, "errors": 0, "p50": 1, "p99": 1}',
    ],
)
def test_a_run_with_any_failure_is_an_error(output: str) -> None:
    with pytest.raises(LoadFailedError):
        load_wrk.parse(output)
