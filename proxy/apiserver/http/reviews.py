"""Reviews: what a client asks about itself. Whoever has the token may do everything.

Invariant: pure; the answer is the question with its status.
"""

from proxy.apiserver import status
from proxy.apiserver.document import Document
from proxy.apiserver.kinds import ACCESS_REVIEWS, RULES_REVIEWS, SELF_REVIEWS, Kind
from proxy.model.field_errors import required

USER = "kubernetes-admin"
_GROUPS = ("system:masters", "system:authenticated")
_EVERYTHING = {
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "incomplete": False,
}


def reviewed(kind: Kind, question: Document) -> Document:
    """The answer to a question of one of REVIEWS. Raises StatusError (422)."""
    spec = question.get("spec") or {}
    if kind is SELF_REVIEWS:
        said: Document = {"userInfo": {"username": USER, "groups": list(_GROUPS)}}
    elif kind is RULES_REVIEWS:
        if not spec.get("namespace"):
            raise status.bad_request("no namespace on request")
        said = _EVERYTHING
    else:
        assert kind is ACCESS_REVIEWS
        if bool(spec.get("resourceAttributes")) == bool(spec.get("nonResourceAttributes")):
            error = required("spec.resourceAttributes", "exactly one of nonResourceAttributes or resourceAttributes")
            raise status.invalid(kind, "", (error,))
        said = {"allowed": True, "reason": "the token of this API may do everything"}
    metadata = {"creationTimestamp": None, **(question.get("metadata") or {})}
    head: Document = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    return {**head, **({"spec": spec} if spec else {}), "status": said}
