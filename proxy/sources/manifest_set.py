"""The manifests of all files together: which object is in force, and which file it comes from.

Invariant: an object that was good once leaves only when its file is gone, or was understood completely and no longer
has it. Of two files that have the same object the first by path wins, and an object kept from an older version of a
file yields to any other.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from proxy.cluster.cluster import ObjectId, object_id
from proxy.model.decoding import Object
from proxy.model.problem import FieldError, Problem
from proxy.model.service import Service
from proxy.sources.manifest_file import ManifestFile, subject_of, where

_WHY_LEFT_OUT = (
    "made by the endpoint controllers of another cluster, whose work is done here"
    " (without the label endpointslice.kubernetes.io/managed-by a slice counts)"
)
_EMPTY = "is empty: the objects it had stay in force; delete the file to remove them"


class _Claim(NamedTuple):
    """One file's version of an object. Document 0 means that it was kept from an older version of the file."""

    item: Object
    document: int


class ManifestSet:
    """Takes parsed files, and tells what changed in the objects they add up to."""

    def __init__(self) -> None:
        self._files: dict[str, ManifestFile] = {}
        self._claims: dict[ObjectId, dict[str, _Claim]] = {}
        self._claimed: dict[str, tuple[ObjectId, ...]] = {}
        self._in_force: dict[ObjectId, Object] = {}
        self._contested: set[ObjectId] = set()

    @property
    def complete(self) -> bool:
        """Whether every object of every file is known."""
        return all(file.complete for file in self._files.values())

    @property
    def ignored(self) -> tuple[str, ...]:
        """The kinds of the objects that the proxy has no use for, one entry an object."""
        return tuple(kind for file in self._files.values() for kind in file.ignored)

    def services(self) -> Iterator[Service]:
        """Every Service that is in force."""
        return (item for item in self._in_force.values() if isinstance(item, Service))

    def update(
        self, files: Iterable[ManifestFile], deleted: Iterable[str] = ()
    ) -> tuple[tuple[Object, ...], tuple[ObjectId, ...]]:
        """Take new versions of files and deletions as one batch; returns the objects to put and those to remove."""
        touched: set[ObjectId] = set()
        for path in deleted:
            self._files.pop(path, None)
            touched.update(self._claim(path, {}))
        for file in files:
            touched.update(self._replace(file))
        changed = sorted(touched)
        put = tuple(item for identity in changed if (item := self._newly_in_force(identity)) is not None)
        return put, tuple(self._withdrawn(changed))

    def problems(self, refused: Mapping[ObjectId, tuple[FieldError, ...]]) -> tuple[Problem, ...]:
        """Everything wrong in the files, and what the cluster `refused` of them; sorted by file."""
        found = [problem for file in self._files.values() for problem in file.problems]
        found += [problem for file in self._files.values() for problem in _repetitions(file)]
        found += [problem for identity in self._contested for problem in self._contests(identity)]
        for identity, errors in refused.items():
            place, subject = self.place_of(identity), _subject(identity)
            found += [Problem(str(error), subject, place) for error in errors]
        return tuple(sorted(found, key=lambda problem: (problem.where, problem.subject, problem.message)))

    def left_out(self, identities: Iterable[ObjectId]) -> tuple[Problem, ...]:
        """What to say, once for each file, of EndpointSlices that the controllers of another cluster made."""
        names: dict[str, list[str]] = defaultdict(list)
        for kind, namespace, name in identities:
            names[self._winner((kind, namespace, name))].append(f"{namespace}/{name}")
        return tuple(
            Problem(f"EndpointSlice {_first_of(among)} left out: {_WHY_LEFT_OUT}", where=path)
            for path, among in sorted(names.items())
        )

    def place_of(self, identity: ObjectId) -> str:
        """Where the version of an object that is in force comes from, or an empty string for an unknown object."""
        if identity not in self._claims:
            return ""
        path = self._winner(identity)
        document = self._claims[identity][path].document
        return where(path, document) if document else path

    def _replace(self, file: ManifestFile) -> set[ObjectId]:
        before = {identity: self._claims[identity][file.path] for identity in self._claimed.get(file.path, ())}
        if file.blank and before:
            file = replace(file, problems=(Problem(_EMPTY, where=file.path),))
        self._files[file.path] = file
        found: dict[ObjectId, _Claim] = {}
        for item, document in file.objects:
            found.setdefault(object_id(item), _Claim(item, document))
        if not file.complete:
            found = {identity: _Claim(claim.item, 0) for identity, claim in before.items()} | found
        return self._claim(file.path, found)

    def _claim(self, path: str, claims: dict[ObjectId, _Claim]) -> set[ObjectId]:
        """Make `claims` all that this file claims; returns every object that this may change."""
        before = self._claimed.pop(path, ())
        for identity in before:
            del self._claims[identity][path]
        for identity, claim in claims.items():
            self._claims.setdefault(identity, {})[path] = claim
        if claims:
            self._claimed[path] = tuple(claims)
        return {*before, *claims}

    def _newly_in_force(self, identity: ObjectId) -> Object | None:
        """The object that is in force from now on, or None if that has not changed."""
        claims = self._claims[identity]
        if sum(claim.document > 0 for claim in claims.values()) > 1:
            self._contested.add(identity)
        else:
            self._contested.discard(identity)
        if not claims:
            return None
        winner = claims[self._winner(identity)].item
        if winner == self._in_force.get(identity):
            return None
        self._in_force[identity] = winner
        return winner

    def _withdrawn(self, touched: Iterable[ObjectId]) -> Iterator[ObjectId]:
        for identity in touched:
            if not self._claims[identity]:
                del self._claims[identity]
                del self._in_force[identity]
                yield identity

    def _winner(self, identity: ObjectId) -> str:
        """The path of the file whose version of the object is in force."""
        return min(self._claims[identity].items(), key=lambda entry: (entry[1].document == 0, entry[0]))[0]

    def _contests(self, identity: ObjectId) -> Iterator[Problem]:
        used = self.place_of(identity)
        for path, claim in self._claims[identity].items():
            place = where(path, claim.document)
            if claim.document and place != used:
                yield Problem(_already(used), subject_of(claim.item), place)


def _repetitions(file: ManifestFile) -> Iterator[Problem]:
    """The objects that a file has more than once; the first is used."""
    first: dict[ObjectId, int] = {}
    for item, document in file.objects:
        identity = object_id(item)
        if identity not in first:
            first[identity] = document
        else:
            used = where(file.path, first[identity])
            yield Problem(_already(used), subject_of(item), where(file.path, document))


def _first_of(names: list[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more are"


def _already(place: str) -> str:
    return f"is also in {place}, which is the one in force: remove one of the two"


def _subject(identity: ObjectId) -> str:
    kind, namespace, name = identity
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
