"""The schema of every kind that is served: its fields, their types, and how patches merge them.

Strict decoding, protobuf, strategic merge, field ownership and OpenAPI all go by
it. Invariant: read once from the package's own `api_types`, and the same for the life of the process.
"""

import functools
from collections.abc import Iterator, Mapping
from importlib import resources
from types import MappingProxyType

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import Kind
from proxy.apiserver.schema.schema_notation import read_types
from proxy.apiserver.schema.schema_types import ListOf, MapOf, Record, Type

_PACKAGES = (
    ("core_v1", "io.k8s.api.core.v1"),
    ("discovery_v1", "io.k8s.api.discovery.v1"),
    ("events_v1", "io.k8s.api.events.v1"),
    ("networking_v1", "io.k8s.api.networking.v1"),
    ("authorization_v1", "io.k8s.api.authorization.v1"),
    ("authentication_v1", "io.k8s.api.authentication.v1"),
    ("apiextensions_v1", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"),
    ("meta_v1", "io.k8s.apimachinery.pkg.apis.meta.v1"),
)
_PACKAGE_OF_GROUP: Mapping[str, str] = MappingProxyType(
    {
        "": "io.k8s.api.core",
        "discovery.k8s.io": "io.k8s.api.discovery",
        "events.k8s.io": "io.k8s.api.events",
        "networking.k8s.io": "io.k8s.api.networking",
        "authorization.k8s.io": "io.k8s.api.authorization",
        "authentication.k8s.io": "io.k8s.api.authentication",
        "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    }
)


@functools.cache
def all_types() -> Mapping[tuple[str, str], Record]:
    """Every type by (package, name)."""
    texts = {}
    for file in resources.files("proxy.apiserver.schema").joinpath("api_types").iterdir():
        package = next(package for prefix, package in _PACKAGES if file.name.startswith(prefix))
        texts[f"{package}/{file.name}"] = file.read_text()
    return MappingProxyType(read_types(texts))


def record_of(kind: Kind) -> Record:
    """The type of a whole object of `kind`."""
    return all_types()[f"{_PACKAGE_OF_GROUP[kind.group]}.{kind.version}", kind.kind]


def meta_record(name: str) -> Record:
    """A type of meta/v1, such as DeleteOptions, Status or ObjectMeta."""
    return all_types()["io.k8s.apimachinery.pkg.apis.meta.v1", name]


def unknown_fields(kind: Kind, document: Document) -> list[str]:
    """The paths of members that `kind` does not have, as strict decoding names them: `spec.ports[0].foo`.

    What has not even the right type is not looked into; `proxy.apiserver.schema.schema_conformance` finds that.
    """
    return list(_unknown(record_of(kind), document, ""))


def _unknown(expected: Type, value: object, path: str) -> Iterator[str]:
    if isinstance(expected, Record) and isinstance(value, dict):
        for name, member in value.items():
            member_path = f"{path}.{name}" if path else name
            if name not in expected.fields:
                yield member_path
            else:
                yield from _unknown(expected.fields[name].type, member, member_path)
    elif isinstance(expected, ListOf) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(expected.items, item, f"{path}[{index}]")
    elif isinstance(expected, MapOf) and isinstance(value, dict):
        for key, member in value.items():
            yield from _unknown(expected.values, member, f"{path}.{key}")
