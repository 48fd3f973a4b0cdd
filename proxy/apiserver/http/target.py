"""Targets: what a URL of the API is about.

Invariant: one place knows the shape of URLs; what is no URL of this API has no target.
"""

from typing import NamedTuple

from proxy.apiserver.document import Key
from proxy.apiserver.kinds import EVENTS, NEW_EVENTS, PODS, Kind, kind_of_resource

STATUS = "status"
OF_A_KUBELET = ("attach", "exec", "log", "portforward")


class Target(NamedTuple):
    """`kind`, in `namespace` or with an empty one everywhere; one object if `name` is there. `watch` is the old form
    of a watch, `/api/v1/watch/...`. `shown_as` is the kind that the client sees, where it is not the stored one."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    watch: bool = False
    shown_as: Kind | None = None

    @property
    def shown(self) -> Kind:
        """The kind that the client sees."""
        return self.shown_as or self.kind

    @property
    def key(self) -> Key:
        return self.namespace, self.name


def target_of(path: str) -> Target | None:
    """The target of a URL path, or None."""
    parts = path.strip("/").split("/")
    if not all(parts):
        return None
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watch = rest[0] == "watch" and len(rest) > 1
    namespace, rest = _in_namespace(rest[1:] if watch else rest)
    kind = kind_of_resource(group, version, rest[0])
    if kind is None or (namespace and not kind.namespaced) or len(rest) > 3:
        return None
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if (name and kind.namespaced and not namespace) or (subresource and not _has(kind, subresource)):
        return None
    shown_as = NEW_EVENTS if kind is NEW_EVENTS else None
    return Target(EVENTS if shown_as else kind, namespace, name, subresource, watch, shown_as)


def _has(kind: Kind, subresource: str) -> bool:
    return (subresource == STATUS and kind.has_status) or (kind is PODS and subresource in OF_A_KUBELET)


def _in_namespace(rest: list[str]) -> tuple[str, list[str]]:
    """The namespace and what is below it; /namespaces/NAME and /namespaces/NAME/status are the Namespace itself."""
    if len(rest) > 2 and rest[0] == "namespaces" and not (len(rest) == 3 and rest[2] == STATUS):
        return rest[1], rest[2:]
    return "", rest
