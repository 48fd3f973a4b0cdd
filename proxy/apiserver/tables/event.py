"""Rows of Events.

Invariant: the words are those of printEvent (kubernetes pkg/printers/internalversion).
"""

from proxy.apiserver.document import Document
from proxy.apiserver.tables.columns import Row
from proxy.reports.human_duration import age


def event_row(document: Document, now: float) -> Row:
    about, series = document.get("involvedObject", {}), document.get("series")
    first = document.get("firstTimestamp") or document.get("eventTime", "")
    last = document.get("lastTimestamp") or first
    count = document.get("count") or 1
    if series is not None:
        last, count = series.get("lastObservedTime", ""), series.get("count", 0)
    return [
        age(last, now),
        document.get("type", ""),
        document.get("reason", ""),
        "/".join(part for part in (about.get("kind", "").lower(), about.get("name", "")) if part),
        about.get("fieldPath", ""),
        _source(document),
        document.get("message", "").strip(),
        age(first, now),
        count,
        document["metadata"]["name"],
    ]


def _source(document: Document) -> str:
    source = document.get("source", {})
    component = source.get("component") or document.get("reportingComponent", "")
    host = source.get("host") or document.get("reportingInstance", "")
    return f"{component}, {host}" if host else component
