"""The types of the API's fields, as values.

Invariant: immutable; a Record reached from a kind's Record describes every field that the Kubernetes API has there, so
a name that it lacks is a mistake.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Union

import msgspec

Type = Union["Scalar", "ListOf", "MapOf", "Record"]


class Scalar(msgspec.Struct, frozen=True):
    """A value without parts, by the name of its type in the notation; `any` is any JSON, parts included."""

    name: str


class ListOf(msgspec.Struct, frozen=True):
    """A list.

    `merges`: a strategic merge patch adds to it (patchStrategy merge), finding items by `merge_key`, or by their value
    where that is empty; `retains_keys` is patchStrategy retainKeys. `keys` (x-kubernetes-list-map-keys) and `is_set`
    are how server-side apply tells items apart; with neither, the list is owned as a whole.
    """

    items: Type
    merges: bool = False
    merge_key: str = ""
    retains_keys: bool = False
    keys: tuple[str, ...] = ()
    is_set: bool = False

    @property
    def is_atomic(self) -> bool:
        """Server-side apply owns and replaces it as a whole."""
        return not self.keys and not self.is_set


class MapOf(msgspec.Struct, frozen=True):
    """A map from any string; `is_atomic` as in ListOf."""

    values: Type
    is_atomic: bool = False


class Field(msgspec.Struct, frozen=True):
    """A member of a Record. `default` is filled in by the server; `enum` is empty where any value is possible.

    `is_explicit`: its zero value (0, false, the empty string) is a value like others, as it is of a required one;
    elsewhere it is what no value at all looks like in protobuf.
    """

    type: Type
    description: str = ""
    is_required: bool = False
    default: str | None = None
    enum: tuple[str, ...] = ()
    is_explicit: bool = False


class Record(msgspec.Struct, frozen=True):
    """A map with known members. `package` is OpenAPI's, such as io.k8s.api.core.v1; `is_atomic` as in ListOf.

    `names` are the members by their field numbers in protobuf: (3,), or (1, 3) for the field 3 of a message (1,) that
    JSON does not have, the name of which is empty.
    """

    package: str
    name: str
    fields: Mapping[str, Field]
    description: str = ""
    is_atomic: bool = False
    names: Mapping[tuple[int, ...], str] = MappingProxyType({})

    @property
    def full_name(self) -> str:
        """`io.k8s.api.core.v1.ServicePort`, the name in OpenAPI."""
        return f"{self.package}.{self.name}"
