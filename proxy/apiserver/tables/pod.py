"""Rows of Pods.

Invariant: the words are those of printPod (kubernetes pkg/printers/internalversion):
the first init container that is not through speaks for the pod, then the first container that is in trouble. Where no
kubelet reports on containers, they are as ready as the pod's condition says.
"""

from collections.abc import Iterable

import msgspec

from proxy.apiserver.document import Document
from proxy.apiserver.tables.columns import Row
from proxy.reports.human_duration import age

_NONE = "<none>"


class _Summary(msgspec.Struct, frozen=True):
    """What the containers come to. `reason` is None where they have nothing to add to the phase."""

    reason: str | None = None
    ready: int = 0
    restarts: int = 0
    is_initializing: bool = False
    has_running: bool = False


def pod_row(document: Document, now: float) -> Row:
    spec, status, metadata = document.get("spec", {}), document.get("status", {}), document["metadata"]
    sidecars = _sidecars(spec)
    first = _initialization(spec, status, sidecars)
    summary = first
    if not first.is_initializing or _condition(status, "Initialized") == "True":
        summary = _running(status, first, sidecars)
    if status.get("phase") == "Running" and not status.get("containerStatuses"):
        ready = len(spec.get("containers", [])) if _condition(status, "Ready") == "True" else 0
        summary = msgspec.structs.replace(summary, ready=summary.ready + ready)
    restarts = str(summary.restarts)
    last = _last_restart(status)
    if summary.restarts and last:
        restarts += f" ({age(last, now)} ago)"
    return [
        metadata["name"],
        f"{summary.ready}/{len(spec.get('containers', [])) + len(sidecars)}",
        _reason(document, summary),
        restarts,
        age(metadata.get("creationTimestamp", ""), now),
        next((each.get("ip", "") for each in status.get("podIPs", [])), status.get("podIP")) or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _readiness_gates(spec, status),
    ]


def _sidecars(spec: Document) -> set[str]:
    """Names of the init containers that go on running."""
    return {each["name"] for each in spec.get("initContainers", []) if each.get("restartPolicy") == "Always"}


def _initialization(spec: Document, status: Document, sidecars: set[str]) -> _Summary:
    """How far the init containers are."""
    ready = restarts = 0
    for index, container in enumerate(status.get("initContainerStatuses", [])):
        restarts += container.get("restartCount", 0)
        state = container.get("state", {})
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if container.get("name") in sidecars and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            word = _end(terminated)
        elif waiting.get("reason", "PodInitializing") not in ("", "PodInitializing"):
            word = waiting["reason"]
        else:
            word = f"{index}/{len(spec.get('initContainers', []))}"
        return _Summary(f"Init:{word}", ready, restarts, is_initializing=True)
    return _Summary(None, ready, restarts)


def _running(status: Document, first: _Summary, sidecars: set[str]) -> _Summary:
    """What the containers proper say, the last of them first, so that the first has the last word."""
    initial = status.get("initContainerStatuses", [])
    restarts = sum(each.get("restartCount", 0) for each in initial if each.get("name") in sidecars)
    reason, ready, has_running = first.reason, first.ready, False
    for container in reversed(status.get("containerStatuses", [])):
        restarts += container.get("restartCount", 0)
        state = container.get("state", {})
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = _end(terminated)
        elif container.get("ready") and state.get("running") is not None:
            has_running = True
            ready += 1
    return _Summary(reason, ready, restarts, has_running=has_running)


def _end(terminated: Document) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _reason(document: Document, summary: _Summary) -> str:
    status = document.get("status", {})
    phase = str(status.get("phase", ""))
    if document["metadata"].get("deletionTimestamp") and status.get("reason") == "NodeLost":
        return "Unknown"
    if document["metadata"].get("deletionTimestamp") and phase not in ("Failed", "Succeeded"):
        return "Terminating"
    gated = any(
        each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated" for each in _conditions(status)
    )
    own = "SchedulingGated" if gated else str(status.get("reason") or phase)
    reason = summary.reason or own
    if reason == "Completed" and summary.has_running:
        return "Running" if _condition(status, "Ready") == "True" else "NotReady"
    return reason


def _last_restart(status: Document) -> str:
    """When the container that ended last did so, or empty."""
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    ends = [(each.get("lastState", {}).get("terminated") or {}).get("finishedAt", "") for each in containers]
    return max(ends, default="")


def _readiness_gates(spec: Document, status: Document) -> str:
    gates = [each.get("conditionType", "") for each in spec.get("readinessGates", [])]
    return f"{sum(_condition(status, gate) == 'True' for gate in gates)}/{len(gates)}" if gates else _NONE


def _condition(status: Document, wanted: str) -> str:
    return next((str(each.get("status")) for each in _conditions(status) if each.get("type") == wanted), "")


def _conditions(status: Document) -> Iterable[Document]:
    conditions: list[Document] = status.get("conditions", [])
    return conditions
