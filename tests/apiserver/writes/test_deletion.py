"""What is left of an object that is deleted, and for how long."""

from typing import Any

import pytest

from proxy.apiserver.kinds import PODS, SERVICES
from proxy.apiserver.writes.deletion import is_finished, left_of, terminates_at

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z"


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"nodeName": "here", **spec}, "status": {"phase": "Running"}}


def marks(document: dict[str, Any] | None) -> tuple[str, int]:
    assert document is not None
    metadata = document["metadata"]
    return metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"]


@pytest.mark.parametrize(
    ("spec", "asked", "expected"),
    [
        ({}, None, ("2026-01-01T00:00:30Z", 30)),
        ({"terminationGracePeriodSeconds": 90}, None, ("2026-01-01T00:01:30Z", 90)),
        ({"terminationGracePeriodSeconds": 90}, 5, ("2026-01-01T00:00:05Z", 5)),
        ({}, -5, ("2026-01-01T00:00:01Z", 1)),
        ({}, 10**15, ("2126-01-01T00:00:00Z", 3_155_673_600)),
    ],
)
def test_a_pod_on_a_node_has_its_grace(spec: dict[str, Any], asked: int | None, expected: tuple[str, int]) -> None:
    assert marks(left_of(PODS, pod(**spec), asked, NOW)) == expected


@pytest.mark.parametrize("asked", [None, 30])
def test_who_needs_no_grace_goes_at_once(asked: int | None) -> None:
    assert left_of(PODS, {"metadata": {"name": "a"}, "spec": {}}, asked, NOW) is None
    assert left_of(PODS, pod() | {"status": {"phase": "Succeeded"}}, asked, NOW) is None
    assert left_of(PODS, pod(), 0, NOW) is None
    assert left_of(SERVICES, {"metadata": {"name": "a"}, "spec": {}}, asked, NOW) is None


def test_finalizers_keep_an_object_when_its_grace_is_over() -> None:
    held = pod() | {"metadata": {"name": "a", "finalizers": ["x/y"]}}
    terminating = left_of(PODS, held, None, NOW)
    assert terminating is not None
    over = left_of(PODS, terminating, 0, LATER)
    assert marks(over) == (NOW, 0)
    assert over is not None
    assert not is_finished(over)
    assert left_of(PODS, over, 0, LATER) is over
    assert is_finished({"metadata": {**over["metadata"], "finalizers": []}})


def test_a_deletion_is_hurried_and_never_put_off() -> None:
    terminating = left_of(PODS, pod(), None, NOW)
    assert terminating is not None
    assert left_of(PODS, terminating, None, LATER) is terminating
    assert left_of(PODS, terminating, 60, LATER) is terminating
    assert marks(left_of(PODS, terminating, 10, LATER)) == ("2026-01-01T00:00:10Z", 10)
    assert left_of(PODS, terminating, 0, LATER) is None


def test_a_terminating_pod_is_not_finished_by_an_update() -> None:
    terminating = left_of(PODS, pod(), None, NOW)
    assert terminating is not None
    assert not is_finished(terminating)
    assert terminates_at(terminating) == 1767225630
    assert terminates_at(pod()) is None
