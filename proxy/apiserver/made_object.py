"""Documents of what the endpoint controller makes: EndpointSlices and Endpoints.

Invariant: pure; a document whose content is the same as that of the stored version, the time of its trigger aside, is
the stored version, so nothing is written for nothing; the owner is named, as garbage collection and people expect.
"""

from proxy.apiserver.document import Document, document_of, metadata_of, with_metadata
from proxy.apiserver.kinds import ENDPOINT_SLICES, ENDPOINTS, Kind
from proxy.apiserver.writes.object_meta import kept_up
from proxy.model.endpoint_slice import LAST_CHANGE_TRIGGER_TIME, EndpointSlice
from proxy.model.endpoints import Endpoints


def made_slice(
    made: EndpointSlice, owner: tuple[Kind, Document], current: Document | None, uid: str, now: str
) -> Document:
    """`made` as a document of its owner, a Service or Endpoints; `uid` and `now` are for a new one."""
    content = document_of(made)
    content["metadata"]["generateName"] = f"{metadata_of(owner[1])['name']}-"
    content["metadata"]["ownerReferences"] = [_reference(*owner)]
    # Empty lists and conditions are shown, as the real controller's are.
    content = {"endpoints": [], "ports": [], **content}
    if current is not None and kept_up(ENDPOINT_SLICES, _triggered_as(current, content), current, uid, now) is current:
        return current
    return kept_up(ENDPOINT_SLICES, content, current, uid, now)


def made_endpoints(made: Endpoints, current: Document | None, uid: str, now: str) -> Document:
    """`made` as a document."""
    return kept_up(ENDPOINTS, document_of(made), current, uid, now)


def _triggered_as(current: Document, content: Document) -> Document:
    """`content` with the trigger's time of `current`."""
    annotations = dict(metadata_of(content).get("annotations") or {})
    annotations.pop(LAST_CHANGE_TRIGGER_TIME, None)
    triggered = (metadata_of(current).get("annotations") or {}).get(LAST_CHANGE_TRIGGER_TIME)
    if triggered:
        annotations[LAST_CHANGE_TRIGGER_TIME] = triggered
    return with_metadata(content, annotations=annotations or None)


def _reference(kind: Kind, owner: Document) -> Document:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": metadata_of(owner)["name"],
        "uid": metadata_of(owner)["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
