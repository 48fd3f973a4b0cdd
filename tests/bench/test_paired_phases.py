"""What pairs of phases say together. Nothing here measures anything."""

from paired_phases import Latencies, Pair, Phase, disturbance_of, latencies_of, ratio_of, wait_of


def phase(p99: float, others: float = 0.0, wait: float = 10.0) -> Phase:
    return Phase(Latencies(100.0, p99, 2 * p99), wait, 0.1, 0.1, others)


def test_percentiles_are_of_the_latencies_in_whatever_order_they_come() -> None:
    assert latencies_of([0.5, 0.25, 0.125]) == Latencies(250_000, 500_000, 500_000)


def test_a_ratio_is_taken_within_a_pair_and_not_between_what_all_quiet_and_all_busy_phases_had() -> None:
    # A neighbour comes after the first pair: the phases differ by ten, the pairs agree.
    pairs = [Pair(phase(100), phase(150)), Pair(phase(1000), phase(1500)), Pair(phase(1000), phase(1500))]
    assert str(ratio_of(pairs)) == "1.50 times the quiet one (lowest 1.50, highest 1.50)"


def test_one_pair_that_is_out_of_line_is_shown_and_does_not_decide() -> None:
    pairs = [Pair(phase(100), phase(110)), Pair(phase(100), phase(690)), Pair(phase(100), phase(120))]
    ratio = ratio_of(pairs)
    assert (ratio.median, ratio.low, ratio.high) == (1.2, 1.1, 6.9)


def test_others_on_the_machine_are_told_and_too_many_warned_of() -> None:
    quiet = [Pair(phase(1, others=0.02), phase(1, others=0.04))]
    assert disturbance_of(quiet) == "other processes used 2% of a core while it was quiet, 4% while it was not"
    assert disturbance_of([*quiet, Pair(phase(1, others=0.5), phase(1))]).startswith("WARNING: ")
    assert "1 of 4 phases" in disturbance_of([*quiet, Pair(phase(1, others=0.5), phase(1))])


def test_the_wait_for_the_core_is_told_for_both_kinds_of_phases() -> None:
    assert wait_of([Pair(phase(1, wait=20), phase(1, wait=35))]).startswith("a worker waited 20 us for its core, 35 us")
