"""When that began which led to a Service's newest slices: what their annotation says, and a proxy measures itself by.

Invariant: a time that was seen once triggers nothing again (TriggerTimeTracker of k8s.io/endpointslice/util).
A Pod whose Ready condition states no time counts as unchanged since its creation: without a kubelet nobody states one.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from proxy.model.changes import ObjectKey
from proxy.model.pod import Pod
from proxy.model.service import Service

_NEVER = datetime.min.replace(tzinfo=UTC)


class _Seen(NamedTuple):
    """The Service's own time, and those of its Pods by name, as they are stated: what is stated again is not read."""

    service: str
    pods: Mapping[str, str]


class TriggerTimes:
    """Remembers what was seen of each Service."""

    def __init__(self) -> None:
        self._seen: dict[ObjectKey, _Seen] = {}

    def observe(self, service: Service, pods: Iterable[Pod]) -> str:
        """The earliest of the times that are new in `service` and its `pods`, in RFC 3339; empty where none is.

        The first time that a Service is seen, it is its creation, whatever its Pods say.
        """
        before = self._seen.get(service.key)
        now = _Seen(service.metadata.creation_timestamp, {pod.metadata.name: _stated(pod) for pod in pods})
        self._seen[service.key] = now
        if before is None:
            return _text(_moment(now.service))
        pairs = [(now.service, before.service), *((text, before.pods.get(name, "")) for name, text in now.pods.items())]
        changed = (_moment(text) for text, old in pairs if text != old and _moment(text) > _moment(old))
        return _text(min(changed, default=_NEVER))

    def forget(self, service: ObjectKey) -> None:
        """The Service is gone, or has slices no more."""
        self._seen.pop(service, None)


def _stated(pod: Pod) -> str:
    for condition in pod.status.conditions:
        if condition.type == "Ready" and condition.last_transition_time:
            return condition.last_transition_time
    return pod.metadata.creation_timestamp


def _moment(text: str) -> datetime:
    """_NEVER where nothing is said, or not readably."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _NEVER
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    if moment is _NEVER:
        return ""
    return f"{moment.replace(tzinfo=None).isoformat()}Z"
