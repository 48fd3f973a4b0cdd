"""ObjectMeta: the part of every Kubernetes object that names and labels it.

Invariant: `namespace` is never empty after decoding a namespaced object's manifest (the decoder fills in "default");
labels and annotations are never null.
"""

import msgspec


class ObjectMeta(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """metadata of an object (k8s.io/apimachinery ObjectMeta), with only the fields that are used."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
