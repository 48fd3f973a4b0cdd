"""Kinds: those that the proxy reads, those that it leaves aside, and the mistakes between them.

Invariant: a kind that Kubernetes has in one of these versions is no mistake, nor is any kind of another project.
"""

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from proxy.model.field_errors import not_supported
from proxy.model.problem import FieldError

VERSIONS: Mapping[str, str] = MappingProxyType(
    {
        "Service": "v1",
        "EndpointSlice": "discovery.k8s.io/v1",
        "Endpoints": "v1",
        "Pod": "v1",
        "Node": "v1",
    }
)
"""The apiVersion of each kind that the proxy reads."""

_KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "v1": (
            *("Binding", "ComponentStatus", "ConfigMap", "Endpoints", "Event", "LimitRange", "List", "Namespace"),
            *("Node", "PersistentVolume", "PersistentVolumeClaim", "Pod", "PodTemplate", "ReplicationController"),
            *("ResourceQuota", "Secret", "SerializedReference", "Service", "ServiceAccount", "Status"),
        ),
        "discovery.k8s.io/v1": ("EndpointSlice",),
    }
)
"""All kinds that Kubernetes 1.36 has in these versions."""

_ALIKE = 0.8


def kind_errors(kind: str, api_version: str) -> tuple[FieldError, ...]:
    """What is wrong with `kind` in `api_version`; nothing where it is one that is read, or one to leave aside."""
    if VERSIONS.get(kind) == api_version:
        return ()
    if kind in VERSIONS and not _is_of_another_project(api_version, VERSIONS[kind]):
        return (not_supported("apiVersion", api_version, [VERSIONS[kind]]),)
    known = _KINDS.get(api_version)
    if known is not None and not {kind, kind.removesuffix("List")} & set(known):
        return (_no_match(kind, api_version, known),)
    if known is None and not _is_of_another_project(api_version) and kind.lower() in map(str.lower, VERSIONS):
        return (_no_match(kind, api_version, VERSIONS),)
    return ()


def _is_of_another_project(api_version: str, expected: str = "") -> bool:
    """Other projects have kinds of the same name in groups of their own, such as serving.knative.dev/v1 Service."""
    group = api_version.rpartition("/")[0]
    is_ours = "." not in group or group.endswith(".k8s.io")
    return not is_ours and not difflib.get_close_matches(api_version, [expected], n=1, cutoff=_ALIKE)


def _no_match(kind: str, api_version: str, known: Iterable[str]) -> FieldError:
    """As kubectl says it, and which kind it may be."""
    text = f'no matches for kind "{kind}" in version "{api_version}"'
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(kind.lower(), by_lower_case, n=1, cutoff=_ALIKE)
    hint = f': did you mean "{by_lower_case[near[0]]}"?' if near else ""
    return FieldError("kind", "FieldValueNotSupported", text + hint)
