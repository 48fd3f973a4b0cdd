"""What a deletion leaves of an object for now: nothing, or its last version, marked. Pure.

Follows rest.BeforeDelete and the Pod strategy's CheckGracefulDelete (k8s.io/apiserver, pkg/registry/core/pod). A Pod
that runs on a node terminates for its grace period; finalizers keep any object. Invariant: a deletion that has begun
may be hurried and is never put off or taken back.
"""

from datetime import UTC, datetime, timedelta

from proxy.apiserver.document import Document, metadata_of, with_metadata
from proxy.apiserver.kinds import PODS, Kind

DEFAULT_GRACE = 30
"""Seconds that a Pod has which says nothing (terminationGracePeriodSeconds)."""

_LONGEST_GRACE = 36524 * 86400
"""A hundred years: a time that metadata can tell."""
_FINISHED = ("Succeeded", "Failed")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def left_of(kind: Kind, current: Document, asked: int | None, now: str) -> Document | None:
    """`current` after a deletion at `now` (RFC 3339) that asks for so many seconds of grace, or None where it goes at
    once. It is `current` itself where the deletion changes nothing."""
    metadata = metadata_of(current)
    since, pending = metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds") or 0
    if since is None:
        grace = _grace(current, asked) if kind is PODS else 0
        at = _later(now, grace)
    elif asked is not None and max(asked, 0) < pending:
        grace = max(asked, 0)
        at = _later(since, grace - pending)
    else:
        grace, at = pending, since
    if not grace and not metadata.get("finalizers"):
        return None
    if (since, pending) == (at, grace) and "deletionGracePeriodSeconds" in metadata:
        return current
    return with_metadata(current, deletionTimestamp=at, deletionGracePeriodSeconds=grace)


def is_finished(document: Document) -> bool:
    """Whether a version of an object that is being deleted is to be its last: nothing holds it any more."""
    metadata = metadata_of(document)
    held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
    return bool(metadata.get("deletionTimestamp")) and not held


def terminates_at(document: Document) -> float | None:
    """When the grace of an object ends (seconds since the epoch), or None where it has none."""
    metadata = metadata_of(document)
    if not metadata.get("deletionTimestamp") or not metadata.get("deletionGracePeriodSeconds"):
        return None
    return _parsed(metadata["deletionTimestamp"]).timestamp()


def _grace(pod: Document, asked: int | None) -> int:
    spec, phase = pod.get("spec") or {}, (pod.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in _FINISHED:
        return 0
    grace = asked if asked is not None else spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE)
    return min(grace, _LONGEST_GRACE) if grace >= 0 else 1


def _later(time: str, seconds: int) -> str:
    return (_parsed(time) + timedelta(seconds=seconds)).strftime(_TIME)


def _parsed(time: str) -> datetime:
    return datetime.strptime(time, _TIME).replace(tzinfo=UTC)
