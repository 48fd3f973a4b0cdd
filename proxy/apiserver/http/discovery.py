"""Discovery: what a client learns about the kinds that are served.

Both forms are made from the same entries: the aggregated one of KEP-3352, which kubectl asks
for first, and the older one of a document for each group and version. Invariant: pure, and the same on every call.
"""

from collections.abc import Iterable, Iterator

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import SERVED, STATUS_VERBS, Kind

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


def aggregated_version(accept: str) -> str | None:
    """`v2` or `v2beta1`, whichever aggregated form an Accept header names first, or None for the older form."""
    for media_range in accept.split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in media_range.split(";")[1:])
        if parameters.get("as") == "APIGroupDiscoveryList" and parameters.get("v") in ("v2", "v2beta1"):
            return parameters["v"]
    return None


def aggregated_media_type(version: str) -> str:
    """The Content-Type of the aggregated form."""
    return _AGGREGATED.format(version)


def aggregated(root: str, version: str) -> Document:
    """APIGroupDiscoveryList of `/api` (core) or `/apis` (every other group)."""
    groups = [""] if root == "/api" else _groups()
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_group_discovery(group) for group in groups],
    }


def api_versions(server_address: str) -> Document:
    """APIVersions of `/api`; `server_address` is `HOST:PORT`."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]
    return {"kind": "APIVersions", "versions": list(_versions("")), "serverAddressByClientCIDRs": addresses}


def api_group_list() -> Document:
    """APIGroupList of `/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in _groups()]}


def api_group(name: str) -> Document | None:
    """APIGroup of `/apis/GROUP`, or None."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)} if name in _groups() else None


def api_resource_list(group: str, version: str) -> Document | None:
    """APIResourceList of `/api/v1` or `/apis/GROUP/VERSION`, or None."""
    kinds = list(_kinds(group, version))
    if not kinds:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": [resource for kind in kinds for resource in _resources(kind)],
    }


def _groups() -> list[str]:
    return sorted({kind.group for kind in SERVED if kind.group})


def _versions(group: str) -> Iterable[str]:
    return sorted({kind.version for kind in SERVED if kind.group == group})


def _kinds(group: str, version: str) -> Iterator[Kind]:
    return (kind for kind in SERVED if (kind.group, kind.version) == (group, version))


def _group(name: str) -> Document:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _group_discovery(group: str) -> Document:
    versions = [
        {
            "version": version,
            "freshness": "Current",
            "resources": [_discovered(kind) for kind in _kinds(group, version)],
        }
        for version in _versions(group)
    ]
    return {"metadata": {"name": group} if group else {}, "versions": versions}


def _discovered(kind: Kind) -> Document:
    response = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    resource = {
        "resource": kind.plural,
        "responseKind": response,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
        **_names(kind),
    }
    if kind.has_status:
        status = {"subresource": "status", "responseKind": response, "verbs": list(STATUS_VERBS)}
        resource["subresources"] = [status]
    return resource


def _resources(kind: Kind) -> Iterator[Document]:
    common = {"namespaced": kind.namespaced, "kind": kind.kind}
    yield {"name": kind.plural, "singularName": kind.singular, **common, "verbs": list(kind.verbs), **_names(kind)}
    if kind.has_status:
        yield {"name": f"{kind.plural}/status", "singularName": "", **common, "verbs": list(STATUS_VERBS)}


def _names(kind: Kind) -> Document:
    names = {"shortNames": list(kind.short_names), "categories": list(kind.categories)}
    return {name: values for name, values in names.items() if values}
