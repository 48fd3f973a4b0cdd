"""Object store: the objects of one resource as last heard of, and what changed since anybody asked.

Invariant: an object is never replaced by an older version of itself, nor one that was deleted revived by one; a
malformed version is remembered as a problem and counts as no object.
"""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from proxy.model.changes import ObjectKey
from proxy.model.problem import Problem

T = TypeVar("T")


class Observed(msgspec.Struct, Generic[T], frozen=True):
    """One version of one object. `item` is None for what cannot be used; `problem` says why, or what is odd in it."""

    key: ObjectKey
    version: str
    item: T | None
    problem: Problem | None = None


class ObjectStore(Generic[T]):
    """Put versions in, drain differences out."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, Observed[T]] = {}
        self._deleted: dict[ObjectKey, str] = {}
        self._changed: dict[ObjectKey, T | None] = {}
        self._problems: dict[ObjectKey, Problem] = {}

    def __len__(self) -> int:
        return len(self._known)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with objects, in no particular order."""
        return tuple(self._problems.values())

    @property
    def items(self) -> Iterator[T]:
        """Every usable object."""
        return (each.item for each in self._known.values() if each.item is not None)

    def put(self, observed: Observed[T]) -> None:
        """A version that was added or modified; one that is not newer than what is known changes nothing."""
        known = self._known.get(observed.key)
        heard_of = known.version if known else self._deleted.get(observed.key, "")
        if not heard_of or is_newer(observed.version, heard_of):
            self._deleted.pop(observed.key, None)
            self._set(observed)

    def remove(self, key: ObjectKey, version: str) -> None:
        """A deletion, at `version`; a late one of an object that has come back since changes nothing."""
        known = self._known.get(key)
        heard_of = known.version if known else self._deleted.get(key, "")
        if not heard_of or not is_newer(heard_of, version):
            self._deleted[key] = version
            self._forget(key)

    def replace(self, listed: Mapping[ObjectKey, Observed[T]]) -> None:
        """Make a complete list everything that is known, whatever the versions say."""
        self._deleted.clear()
        for key in [key for key in self._known if key not in listed]:
            self._forget(key)
        for observed in listed.values():
            self._set(observed)

    def replace_from(self, other: "ObjectStore[T]") -> None:
        """`replace`, with what another store knows."""
        self.replace(other._known)

    def forget_deletions(self) -> None:
        """A new stream begins, which holds nothing older than what is known."""
        self._deleted.clear()

    def drain(self) -> dict[ObjectKey, T | None]:
        """What changed since the last call: the object, or None where there is none any more."""
        changed, self._changed = self._changed, {}
        return changed

    def _set(self, observed: Observed[T]) -> None:
        known = self._known.get(observed.key)
        before = known.item if known else None
        if before != observed.item:
            self._changed[observed.key] = observed.item
        elif known is not None:
            # The rest of the program holds the known object: a second one that is equal would only take room.
            observed = Observed(observed.key, observed.version, before, observed.problem)
        self._known[observed.key] = observed
        if observed.problem is not None:
            self._problems[observed.key] = observed.problem
        else:
            self._problems.pop(observed.key, None)

    def _forget(self, key: ObjectKey) -> None:
        known = self._known.pop(key, None)
        self._problems.pop(key, None)
        if known is not None and known.item is not None:
            self._changed[key] = None


def is_newer(version: str, than: str) -> bool:
    """Whether `version` is later than `than`. Versions are decimal numbers that grow (KEP-5504)."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than
