"""JSON Merge Patch (RFC 7386): a document of the members to change, where null removes.

Imports nothing of ours. Invariant: the documents given are never changed; the result shares no part with them.
"""

import copy
from typing import Any


def apply_merge_patch(document: object, patch: object) -> Any:
    """`document` with `patch` merged in, by the algorithm of RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge_patch(merged.get(name), value)
    return merged
