"""Events of events.k8s.io/v1: the stored Events under the names that the newer group has for their fields.

The names are those of kubernetes pkg/apis/events/v1/conversion.go. Invariant: nothing is lost on the way
there and back.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import EVENTS, NEW_EVENTS
from proxy.apiserver.writes.patching import MERGE_PATCH, STRATEGIC_MERGE_PATCH, Patch

_NEW_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "involvedObject": "regarding",
        "message": "note",
        "reportingComponent": "reportingController",
        "source": "deprecatedSource",
        "firstTimestamp": "deprecatedFirstTimestamp",
        "lastTimestamp": "deprecatedLastTimestamp",
        "count": "deprecatedCount",
    }
)
_STORED_NAMES: Mapping[str, str] = MappingProxyType({new: stored for stored, new in _NEW_NAMES.items()})


def shown_event(document: Document) -> Document:
    """A stored Event as events.k8s.io/v1 has it."""
    shown = {_NEW_NAMES.get(name, name): member for name, member in document.items()}
    return {**shown, "kind": NEW_EVENTS.kind, "apiVersion": NEW_EVENTS.api_version}


def stored_event(document: Document) -> Document:
    """An Event of events.k8s.io/v1, or a merge patch of one, as it is stored."""
    stored = {_STORED_NAMES.get(name, name): member for name, member in document.items()}
    return {**stored, "apiVersion": EVENTS.api_version} if "apiVersion" in stored else stored


def stored_patch(patch: Patch) -> Patch:
    """A merge patch by the names that are stored; others stay as they are."""
    if patch.media_type not in (MERGE_PATCH, STRATEGIC_MERGE_PATCH) or not isinstance(patch.content, dict):
        return patch
    return msgspec.structs.replace(patch, content=stored_event(patch.content))


def stored_selector(text: str) -> str:
    """A field selector, by the names that are stored."""
    parts = []
    for part in text.split(","):
        name, dot, rest = part.partition(".")
        if dot and name == "regarding":
            part = f"involvedObject.{rest}"
        elif part.startswith("reportingController"):
            part = f"reportingComponent{part.removeprefix('reportingController')}"
        parts.append(part)
    return ",".join(parts)
