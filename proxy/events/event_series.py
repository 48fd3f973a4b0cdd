"""Which Event is written for what happened, after client-go's correlator (tools/record/events_cache.go).

The clock is an argument. Invariants: what happens again is counted in the Event that there is; one Service gives rise
to 25 writes at once and one more every 5 minutes at most; many different messages of one reason become one Event.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from proxy.events.service_event import ServiceEvent

COMPONENT = "svcproxy"
BURST = 25
REFILL = 300.0
"""Seconds until one more write is allowed for a Service that used up its burst."""
SIMILAR = 10
"""So many different messages of one reason about one Service are told apart, within `INTERVAL` seconds."""
INTERVAL = 600.0

_MOST_REMEMBERED = 4096
_LONGEST_MESSAGE = 1024

Document = dict[str, Any]

Key = TypeVar("Key")
Value = TypeVar("Value")


class EventWrite(NamedTuple):
    """An Event to create, or where `again` to count up: only `changes` are different then."""

    document: Document
    again: bool

    @property
    def changes(self) -> Document:
        return {name: self.document[name] for name in ("count", "lastTimestamp", "message")}


class _Bucket:
    """How many writes one Service may still give rise to."""

    def __init__(self, now: float) -> None:
        self._left = float(BURST)
        self._as_of = now

    def take(self, now: float) -> bool:
        self._left = min(float(BURST), self._left + (now - self._as_of) / REFILL)
        self._as_of = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class EventSeries:
    """Remembers what was written by the proxy on `host`."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._written: OrderedDict[str, Document] = OrderedDict()
        self._buckets: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], dict[str, float]] = OrderedDict()

    def observe(self, event: ServiceEvent, now: float, moment: datetime) -> EventWrite | None:
        """What to write, or None where it is too much. `now` is monotonic seconds, `moment` the time of day."""
        bucket = _recall(self._buckets, (*event.service, event.uid), _Bucket(now))
        if not bucket.take(now):
            return None
        text = event.message[:_LONGEST_MESSAGE]
        identity = self._identity(event, now)
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"{event.service[1]}.{hashlib.sha256(repr(identity).encode()).hexdigest()[:16]}"
        before = self._written.get(name)
        if identity[-1] is None:
            text = f"(combined from similar events): {text}"
        document = self._document(event, name, text, stamp) if before is None else dict(before)
        document |= {"count": document["count"] + 1, "lastTimestamp": stamp, "message": text}
        self._written.pop(name, None)
        _recall(self._written, name, document)
        return EventWrite(document, again=before is not None)

    def _identity(self, event: ServiceEvent, now: float) -> tuple[object, ...]:
        """What makes two happenings one Event; without the message where there are too many of them."""
        group = (self._host, *event.service, event.uid, event.reason)
        seen = _recall(self._similar, group, {})
        for message in [message for message, last in seen.items() if now - last > INTERVAL]:
            del seen[message]
        if event.message not in seen and len(seen) >= SIMILAR:
            return (*group, None)
        seen[event.message] = now
        return (*group, event.message)

    def _document(self, event: ServiceEvent, name: str, message: str, stamp: str) -> Document:
        namespace, service = event.service
        about: Mapping[str, str] = {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": namespace,
            "name": service,
            "uid": event.uid,
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {field: text for field, text in about.items() if text},
            "type": "Warning",
            "reason": event.reason,
            "action": event.action,
            "message": message,
            "source": {"component": COMPONENT, "host": self._host},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._host,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 0,
        }


def _recall(memory: OrderedDict[Key, Value], key: Key, fresh: Value) -> Value:
    """The value under `key`, `fresh` if there is none; what was not asked for the longest time is forgotten."""
    value = memory.setdefault(key, fresh)
    memory.move_to_end(key)
    if len(memory) > _MOST_REMEMBERED:
        memory.popitem(last=False)
    return value
