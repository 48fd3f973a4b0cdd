"""Rows of Nodes and Namespaces.

Invariant: the words are those of printNode and printNamespace (kubernetes pkg/printers/internalversion).
"""

from proxy.apiserver.document import Document
from proxy.apiserver.tables.columns import Row
from proxy.reports.human_duration import age

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"
_UNKNOWN = "<unknown>"


def node_row(document: Document, now: float) -> Row:
    metadata, status = document["metadata"], document.get("status", {})
    info = status.get("nodeInfo", {})
    return [
        metadata["name"],
        _status(document),
        ",".join(_roles(metadata.get("labels", {}))) or "<none>",
        age(metadata.get("creationTimestamp", ""), now),
        info.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        info.get("osImage") or _UNKNOWN,
        info.get("kernelVersion") or _UNKNOWN,
        info.get("containerRuntimeVersion") or _UNKNOWN,
    ]


def namespace_row(document: Document, now: float) -> Row:
    metadata = document["metadata"]
    phase = document.get("status", {}).get("phase", "")
    return [metadata["name"], phase, age(metadata.get("creationTimestamp", ""), now)]


def _status(document: Document) -> str:
    conditions = document.get("status", {}).get("conditions", [])
    ready = next((each.get("status") for each in conditions if each.get("type") == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if document.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(labels: dict[str, str]) -> list[str]:
    roles = {name.removeprefix(_ROLE_PREFIX) for name in labels if name.startswith(_ROLE_PREFIX)}
    return sorted((roles | {labels.get(_ROLE_LABEL, "")}) - {""})


def _address(status: Document, wanted: str) -> str:
    addresses = status.get("addresses", [])
    return next((each.get("address", "") for each in addresses if each.get("type") == wanted), "<none>")
