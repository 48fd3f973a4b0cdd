"""JSON Merge Patch (RFC 7386): a document of the members to change, where null removes.

Invariant: the documents given are never changed; the work is in proportion to the patch and to the members of the
objects that it reaches into.
"""

import copy
from typing import Any


def apply_merge_patch(document: object, patch: object) -> Any:
    """`document` with `patch` merged in, by the algorithm of RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge_patch(merged.get(name), value)
    return merged
