"""Pods as rows of a table."""

from typing import Any

import pytest

from proxy.apiserver.tables.pod import pod_row

MINUTE = 60.0
RUNNING = {"ready": True, "state": {"running": {}}}
COMPLETED = {"state": {"terminated": {"reason": "Completed", "exitCode": 0}}}
READY = [{"type": "Ready", "status": "True"}]


def row(containers: int = 1, metadata: Any = None, spec: Any = None, **status: Any) -> list[str | int]:
    named = {"name": "p", "creationTimestamp": "1970-01-01T00:00:00Z", **(metadata or {})}
    listed = [{"name": f"c{number}"} for number in range(containers)]
    return pod_row({"metadata": named, "spec": {"containers": listed, **(spec or {})}, "status": status}, MINUTE)


def ready_and_status(*arguments: Any, **options: Any) -> tuple[str | int, str | int]:
    _, ready, status, *_ = row(*arguments, **options)
    return ready, status


def test_a_running_pod() -> None:
    cells = row(2, spec={"nodeName": "n"}, phase="Running", podIP="10.0.0.1", containerStatuses=[RUNNING, RUNNING])
    assert cells == ["p", "2/2", "Running", "0", "60s", "10.0.0.1", "n", "<none>", "<none>"]


def test_a_pod_that_nobody_reports_on_has_no_status() -> None:
    assert row() == ["p", "0/1", "", "0", "60s", "<none>", "<none>", "<none>", "<none>"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [([], "0/2"), (READY, "2/2"), ([{"type": "Ready", "status": "False"}], "0/2")],
)
def test_without_a_kubelet_the_containers_are_as_ready_as_the_pod(conditions: Any, expected: str) -> None:
    assert ready_and_status(2, phase="Running", conditions=conditions) == (expected, "Running")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}], ("0/2", "CrashLoopBackOff")),
        ([{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}, RUNNING], ("1/2", "OOMKilled")),
        ([{"state": {"terminated": {"exitCode": 3}}}], ("0/2", "ExitCode:3")),
        ([{"state": {"terminated": {"exitCode": 3, "signal": 9}}}], ("0/2", "Signal:9")),
        ([RUNNING, {"state": {"waiting": {"reason": "ImagePullBackOff"}}}], ("1/2", "ImagePullBackOff")),
        ([{"state": {"waiting": {"reason": "A"}}}, {"state": {"waiting": {"reason": "B"}}}], ("0/2", "A")),
        ([COMPLETED, RUNNING], ("1/2", "NotReady")),
        ([COMPLETED, COMPLETED], ("0/2", "Completed")),
        ([{"ready": False, "state": {"running": {}}}], ("0/2", "Running")),
    ],
)
def test_the_first_container_in_trouble_speaks_for_the_pod(statuses: list[Any], expected: tuple[str, str]) -> None:
    assert ready_and_status(2, phase="Running", containerStatuses=statuses) == expected


def test_a_ready_pod_runs_although_a_container_is_through() -> None:
    options = {"phase": "Running", "containerStatuses": [COMPLETED, RUNNING], "conditions": READY}
    assert ready_and_status(2, **options) == ("1/2", "Running")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ({"state": {"running": {}}}, "Init:1/2"),
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, "Init:1/2"),
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, "Init:ErrImagePull"),
        ({"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}, "Init:Error"),
        ({"state": {"terminated": {"exitCode": 1}}}, "Init:ExitCode:1"),
        ({"state": {"terminated": {"exitCode": 1, "signal": 15}}}, "Init:Signal:15"),
    ],
)
def test_the_first_init_container_that_is_not_through_speaks_for_the_pod(state: Any, status: str) -> None:
    spec = {"initContainers": [{"name": "a"}, {"name": "b"}]}
    statuses = [{"name": "a", **COMPLETED}, {"name": "b", **state}]
    waiting = [{"state": {"waiting": {"reason": "PodInitializing"}}}]
    options = {"phase": "Pending", "initContainerStatuses": statuses, "containerStatuses": waiting}
    assert ready_and_status(spec=spec, **options) == ("0/1", status)


def test_a_sidecar_counts_as_a_container() -> None:
    spec = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}
    sidecar = {"name": "s", "started": True, "restartCount": 2, **RUNNING}
    cells = row(spec=spec, phase="Running", initContainerStatuses=[sidecar], containerStatuses=[RUNNING])
    assert cells[1:4] == ["2/2", "Running", "2"]


def test_restarts_say_when_the_last_one_was() -> None:
    ended = {"terminated": {"finishedAt": "1970-01-01T00:00:30Z"}}
    status = {"restartCount": 3, "lastState": ended, **RUNNING}
    assert row(phase="Running", containerStatuses=[status])[3] == "3 (30s ago)"


@pytest.mark.parametrize(
    ("phase", "reason", "expected"),
    [("Running", "", "Terminating"), ("Succeeded", "", "Succeeded"), ("Running", "NodeLost", "Unknown")],
)
def test_a_pod_on_its_way_out(phase: str, reason: str, expected: str) -> None:
    metadata = {"deletionTimestamp": "1970-01-01T00:00:10Z"}
    assert ready_and_status(metadata=metadata, phase=phase, reason=reason)[1] == expected


def test_reasons_and_gates_are_told() -> None:
    gated = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
    assert ready_and_status(phase="Pending", conditions=gated)[1] == "SchedulingGated"
    assert ready_and_status(phase="Failed", reason="Evicted")[1] == "Evicted"
    spec = {"readinessGates": [{"conditionType": "Ready"}, {"conditionType": "other"}]}
    assert row(spec=spec, conditions=READY)[-1] == "1/2"
    assert row(podIPs=[{"ip": "10.0.0.2"}], nominatedNodeName="next")[5:8] == ["10.0.0.2", "<none>", "next"]
