"""The descriptor budget: counting, and who is called when something returns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.complaint import INTERVAL
from proxy.dataplane.descriptors import Descriptors


class Waiter:
    def __init__(self, called: list["Waiter"]) -> None:
        self._called = called

    def __call__(self) -> None:
        self._called.append(self)


@given(
    st.integers(0, 10), st.lists(st.tuples(st.sampled_from(["take", "give", "occupy", "put_back"]), st.integers(1, 4)))
)
def test_what_is_taken_and_what_is_free_make_the_capacity(capacity: int, steps: list[tuple[str, int]]) -> None:
    descriptors, held = Descriptors(capacity), 0
    for action, count in steps:
        if action == "take":
            fits = held + count <= capacity
            assert descriptors.take(count) is fits
            held += count if fits else 0
        elif action == "occupy":
            descriptors.occupy(count)
            held += count
        elif held >= count:
            getattr(descriptors, action)(count)
            held -= count
        assert descriptors.free == capacity - held


@given(st.lists(st.sampled_from(["wait", "give 1", "give 2", "give 6", "take 2", "wake"])))
def test_one_waiter_is_called_for_each_free_pair_in_the_order_of_waiting(steps: list[str]) -> None:
    descriptors, called = Descriptors(0), list[Waiter]()
    waiting, expected, free = list[Waiter](), list[Waiter](), 0
    for step in steps:
        action, _, count = step.partition(" ")
        if action == "wait":
            waiting.append(Waiter(called))
            descriptors.wait(waiting[-1])
            continue
        if action == "take":
            free -= 2 if descriptors.take(2) else 0
            continue
        if action == "give":
            descriptors.give(int(count))
            free += int(count)
        else:
            descriptors.wake()
        turns = free // 2
        expected, waiting = expected + waiting[:turns], waiting[turns:]
        assert called == expected


def test_nobody_is_called_for_what_was_taken_in_vain() -> None:
    descriptors, called = Descriptors(2), list[Waiter]()
    descriptors.take(2)
    descriptors.wait(Waiter(called))
    descriptors.put_back(2)
    assert (descriptors.free, called) == (2, [])


def test_nothing_is_to_be_had_until_what_was_occupied_beyond_the_capacity_returns() -> None:
    descriptors, called = Descriptors(1), list[Waiter]()
    descriptors.occupy(4)
    descriptors.wait(Waiter(called))
    descriptors.give(4)
    assert not descriptors.take(2)
    assert not called
    descriptors.give(1)
    assert len(called) == 1


def test_a_waiter_that_waits_again_while_it_is_called_is_called_only_once() -> None:
    descriptors, calls = Descriptors(8), list[int]()

    def wait_again() -> None:
        calls.append(1)
        descriptors.wait(wait_again)

    descriptors.wait(wait_again)
    descriptors.wake()
    assert calls == [1]


def test_exhaustion_is_reported_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    descriptors = Descriptors(4)
    descriptors.take(4)
    for now in (0.0, 1.0, INTERVAL - 0.1, INTERVAL, INTERVAL + 1.0):
        descriptors.report_exhaustion(now)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["out of file descriptors"] * 2
    assert "4 of 4 are in use" in caplog.text


@given(
    st.integers(0, 100),
    st.lists(st.sampled_from(["listen TCP", "listen UDP", "stream", "end stream", "flow", "end flow"]), max_size=200),
)
def test_neither_connections_nor_flows_take_what_is_kept_for_the_other(capacity: int, steps: list[str]) -> None:
    """A quarter of what listening sockets leave is for connections, an eighth for flows, where they have a frontend."""
    descriptors = Descriptors(capacity)
    listening, streams, flows = {"TCP": 0, "UDP": 0}, 0, 0
    for step in steps:
        shared = max(0, capacity - sum(listening.values()))
        free = capacity - sum(listening.values()) - streams - flows
        kept_for_streams = max(0, (shared // 4 if listening["TCP"] else 0) - streams)
        kept_for_flows = max(0, (shared // 8 if listening["UDP"] else 0) - flows)
        match step.split():
            case "listen", protocol:
                descriptors.listen(protocol)
                listening[protocol] += 1
            case ["stream"]:
                taken = descriptors.take(2)
                assert taken is (free - kept_for_flows >= 2)
                streams += 2 if taken else 0
            case ["flow"]:
                taken = descriptors.take_flow()
                assert taken is (free - kept_for_streams >= 1)
                flows += taken
            case ["end", "stream"] if streams:
                descriptors.give(2)
                streams -= 2
            case ["end", "flow"] if flows:
                descriptors.give_flow()
                flows -= 1
        assert descriptors.free == capacity - sum(listening.values()) - streams - flows
        assert descriptors.flows == flows
    for protocol, count in listening.items():
        for _ in range(count):
            descriptors.stop_listening(protocol)
    assert descriptors.free == capacity - streams - flows
    assert descriptors.kept_for_flows == 0


def test_while_a_client_waits_flows_have_their_floor_and_no_more() -> None:
    descriptors = Descriptors(82)
    descriptors.listen("TCP")
    descriptors.listen("UDP")
    assert descriptors.flow_floor == 10
    descriptors.wait(lambda: None)
    assert [descriptors.take_flow() for _ in range(11)] == [True] * 10 + [False]


def test_an_endpoint_gets_no_more_where_few_are_left_and_it_has_as_many() -> None:
    descriptors = Descriptors(81)
    descriptors.listen("TCP")
    assert not descriptors.is_enough(40)
    descriptors.take(60)
    assert not descriptors.is_enough(40)
    descriptors.take(2)
    assert not descriptors.is_enough(9)
    assert descriptors.is_enough(10)
    assert not descriptors.is_enough(10, taken=2)
