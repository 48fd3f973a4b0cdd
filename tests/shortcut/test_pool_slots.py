"""Slots: what a program takes from them is what the relay's scheduler chooses."""

from collections import Counter
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.addresses import client_number, fold
from proxy.plan.frontend import Pool
from proxy.schedulers.backend import Backend
from proxy.schedulers.hashing import hash_32
from proxy.schedulers.registry import create, names
from proxy.shortcut.layout import Rule
from proxy.shortcut.pool_slots import MOST_SLOTS, SlotWriter, is_supported
from tests.schedulers.kernel_choices import Recording, recordings
from tests.shortcut.conftest import PORT, pool

WEIGHTS = st.lists(st.integers(0, 9), min_size=1, max_size=7)


def pool_of(scheduler: str, weights: list[int]) -> Pool:
    hosts = tuple(f"10.0.0.{number}" for number in range(1, len(weights) + 1))
    return pool(*hosts, scheduler=scheduler, weights=tuple(weights))


def test_all_but_the_tables_of_destinations_are_supported() -> None:
    assert {name for name in names() if not is_supported(name)} == {"lblc", "lblcr"}


@pytest.mark.parametrize("scheduler", ["rr", "wrr"])
@given(weights=WEIGHTS)
def test_turns_are_those_of_the_relay(scheduler: str, weights: list[int]) -> None:
    made = create(scheduler, Random(0))
    made.update([Backend(f"10.0.0.{number}", PORT, weight) for number, weight in enumerate(weights, 1)])
    slots = SlotWriter(scheduler).slots(pool_of(scheduler, weights)).slots
    chosen = [made.pick(0, 0.0) for _ in slots]
    assert [place for place, _ in slots] == [(each.address, each.port) for each in chosen if each is not None]


@given(WEIGHTS, st.integers(0, 2**32 - 1))
def test_sh_finds_the_owner_that_the_relay_finds(weights: list[int], number: int) -> None:
    weights = [max(1, weight) for weight in weights]
    made = create("sh", Random(0))
    made.update([Backend(f"10.0.0.{place}", PORT, weight) for place, weight in enumerate(weights, 1)])
    client = str(ip_address(number))
    key = fold(client_number(client))
    written = SlotWriter("sh").slots(pool_of("sh", weights))
    place, _ = written.slots[hash_32(key, written.hash_bits)]
    chosen = made.pick(key, 0.0)
    assert chosen is not None
    assert place == (chosen.address, chosen.port)


@pytest.mark.parametrize("scheduler", [name for name in names() if is_supported(name)])
@given(weights=WEIGHTS, failing=st.sets(st.integers(1, 7)))
def test_drained_and_failing_endpoints_have_no_slot_unless_all_fail(
    scheduler: str, weights: list[int], failing: set[int]
) -> None:
    usable = {f"10.0.0.{number}" for number, weight in enumerate(weights, 1) if weight}
    left = usable - {f"10.0.0.{number}" for number in failing}
    places = {(f"10.0.0.{number}", PORT) for number in failing}
    slots = SlotWriter(scheduler).slots(pool_of(scheduler, weights), places).slots
    assert {host for (host, _), weight in slots if weight} <= (left or usable)
    assert any(weight for _, weight in slots) == bool(usable)
    # mh marks the places of those that may not be chosen, since where it looks next depends on the client.
    assert scheduler == "mh" or all(weight > 0 for _, weight in slots)


@given(WEIGHTS)
def test_draws_are_in_proportion_to_weight(weights: list[int]) -> None:
    slots = Counter(host for (host, _), _ in SlotWriter("random").slots(pool_of("random", weights)).slots)
    total = sum(slots.values())
    for number, weight in enumerate(weights, 1):
        assert slots[f"10.0.0.{number}"] * sum(weights) == weight * total


def test_great_weights_are_made_smaller_in_proportion() -> None:
    slots = SlotWriter("wrr").slots(pool_of("wrr", [65535, 32768, 1])).slots
    shares = Counter(host for (host, _), _ in slots)
    assert len(slots) <= MOST_SLOTS + 3
    assert shares["10.0.0.1"] == pytest.approx(2 * shares["10.0.0.2"], rel=0.01)
    assert shares["10.0.0.3"] == 1


def test_the_kernels_extra_mark_is_with_the_first() -> None:
    written = SlotWriter("twos").slots(pool_of("twos", [1, 1, 1]))
    assert written.rule is Rule.TWO_DRAWS
    assert len(written.slots) == 4


def test_endpoints_that_stay_keep_their_order() -> None:
    writer = SlotWriter("rr")
    first = writer.slots(pool("10.0.0.1", "10.0.0.2", "10.0.0.3")).slots
    without = writer.slots(pool("10.0.0.1", "10.0.0.3")).slots
    assert without == tuple(each for each in first if each[0][0] != "10.0.0.2")


@pytest.mark.parametrize(
    "recording",
    [each for each in recordings() if each.scheduler in ("rr", "wrr")],
    ids=lambda recording: recording.name,
)
def test_turns_go_on_over_changes_as_the_kernels_do(recording: Recording) -> None:
    writer, turn = SlotWriter(recording.scheduler), 0
    weights: dict[str, int] = {}
    slots: tuple[tuple[tuple[str, int], int], ...] = ()
    for event in recording.events:
        if event.server:
            weights[event.server] = event.weight
            if event.do == "remove":
                del weights[event.server]
            hosts = [server.rpartition(":")[0] for server in weights]
            changed = pool(*hosts, weights=tuple(weights.values()), scheduler=recording.scheduler)
            slots = writer.slots(changed, turn=turn).slots
        elif event.do == "connect":
            (host, port), _ = slots[turn % len(slots)] if slots else (("", 0), 0)
            assert event.got == (f"{host}:{port}" if slots else None)
            turn += bool(slots)


def test_a_pool_of_no_endpoints_has_no_slots() -> None:
    assert SlotWriter("mh").slots(pool_of("mh", [0])).slots == ()
