"""Something that happened to one Service.

Invariant: `reason` and `action` are single words in CamelCase from a closed list of this program's.
"""

import msgspec

from proxy.model.changes import ObjectKey


class ServiceEvent(msgspec.Struct, frozen=True):
    """A warning; `uid` is the Service's own, without which kubectl does not find it."""

    service: ObjectKey
    uid: str
    reason: str
    action: str
    message: str
