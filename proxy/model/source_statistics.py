"""What a source says of itself: how it keeps up with where its objects come from.

Invariant: read-only numbers of one moment; nothing is decided by them.
"""

import msgspec


class ResourceStatistics(msgspec.Struct, frozen=True):
    """One resource that is followed, such as `services`.

    `objects` are known, `receiving` have come of a list that is not complete yet, `rejected` cannot be used. `lists`
    were taken in full, `failures` ended a request, `unreadable` of those were answers that nobody could read.
    `silent_seconds` is how long ago the server was last heard of, None where it never was. `errors` are ERROR events,
    that the version is too old (410) aside.
    """

    resource: str
    objects: int
    receiving: int
    rejected: int
    lists: int
    failures: int
    unreadable: int
    silent_seconds: float | None
    errors: int = 0
