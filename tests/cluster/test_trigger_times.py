"""Which time a change of endpoints is measured from."""

import pytest

from proxy.cluster.trigger_times import TriggerTimes
from proxy.model.metadata import ObjectMeta
from proxy.model.pod import Pod, PodCondition, PodSpec, PodStatus
from proxy.model.service import Service

BEGAN = "2026-03-01T00:00:00Z"


def at(second: int) -> str:
    return f"2026-03-01T00:00:{second:02}Z"


def service(created: str = BEGAN) -> Service:
    return Service(ObjectMeta(name="web", namespace="default", creation_timestamp=created))


def pod(name: str, ready_since: str | None = None, created: str = "") -> Pod:
    condition = PodCondition("Ready", "True", ready_since)
    metadata = ObjectMeta(name=name, namespace="default", creation_timestamp=created)
    return Pod(metadata, PodSpec(), PodStatus(conditions=(PodCondition("Initialized", "True", at(59)), condition)))


@pytest.fixture
def times() -> TriggerTimes:
    """With the Service seen, and nothing else."""
    times = TriggerTimes()
    times.observe(service(), ())
    return times


def test_a_new_service_is_measured_from_its_creation_whatever_its_pods_say() -> None:
    times = TriggerTimes()
    assert times.observe(service(), [pod("a", at(1))]) == BEGAN
    assert times.observe(service(), [pod("a", at(1))]) == ""


def test_the_earliest_of_what_is_new_counts(times: TriggerTimes) -> None:
    assert times.observe(service(), [pod("a", at(5)), pod("b", at(3))]) == at(3)
    assert times.observe(service(), [pod("a", at(9)), pod("b", at(3)), pod("c", at(7))]) == at(7)


def test_what_was_seen_or_goes_back_triggers_nothing(times: TriggerTimes) -> None:
    times.observe(service(), [pod("a", at(5)), pod("b", at(5))])
    assert times.observe(service(), [pod("a", at(5)), pod("b", at(4))]) == ""
    assert times.observe(service(), [pod("a", at(5))]) == ""


def test_a_pod_that_left_and_returns_is_new(times: TriggerTimes) -> None:
    times.observe(service(), [pod("a", at(5))])
    times.observe(service(), [])
    assert times.observe(service(), [pod("a", at(5))]) == at(5)


def test_a_service_that_was_made_anew_is_a_change(times: TriggerTimes) -> None:
    assert times.observe(service(at(8)), [pod("a", at(9))]) == at(8)


def test_one_that_was_forgotten_is_new(times: TriggerTimes) -> None:
    times.forget(("default", "web"))
    times.forget(("default", "web"))
    assert times.observe(service(), [pod("a", at(1))]) == BEGAN


def test_a_pod_that_states_no_time_is_ready_from_its_creation(times: TriggerTimes) -> None:
    assert times.observe(service(), [pod("a", created=at(4))]) == at(4)
    assert times.observe(service(), [pod("a", created=at(4)), pod("b")]) == ""


@pytest.mark.parametrize(
    ("stated", "written"),
    [
        ("2026-03-01T02:00:05+02:00", "2026-03-01T00:00:05Z"),
        ("2026-03-01T00:00:05.250Z", "2026-03-01T00:00:05.250000Z"),
        ("2026-03-01T00:00:05", "2026-03-01T00:00:05Z"),
        ("yesterday", ""),
    ],
)
def test_times_are_written_in_utc_and_what_is_no_time_is_none(times: TriggerTimes, stated: str, written: str) -> None:
    assert times.observe(service(), [pod("a", stated)]) == written


def test_where_nobody_states_a_time_there_is_none() -> None:
    times = TriggerTimes()
    assert times.observe(service(""), [pod("a")]) == ""
    assert times.observe(service(""), [pod("b")]) == ""
