"""What a user asks to see, in the forms of kubectl: `svc web`, `svc/web`, `svc/web ep/web`, `svc,ep`.

Pure. Invariant: each kind is asked once, in the order in which it was named.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Asked(NamedTuple):
    """One kind, and the names of what is wanted of it; none is everything."""

    kind: str
    names: tuple[str, ...]


def asked(words: Sequence[str], kind_named: Callable[[str], str]) -> tuple[Asked, ...]:
    """What `words` ask for. `kind_named` gives the usual name of a kind and raises what a user is to be told.

    Raises ValueError where the two forms are mixed.
    """
    if not any("/" in word for word in words):
        kinds = dict.fromkeys(kind_named(each) for each in words[0].split(","))
        return tuple(Asked(kind, tuple(dict.fromkeys(words[1:]))) for kind in kinds)
    names: Mapping[str, dict[str, None]] = {}
    for word in words:
        kind, slash, name = word.partition("/")
        if not slash or not kind or not name or "/" in name:
            raise ValueError(f'"{word}" must be KIND/NAME, as the others are')
        names = {**names, kind_named(kind): {**names.get(kind_named(kind), {}), name: None}}
    return tuple(Asked(kind, tuple(wanted)) for kind, wanted in names.items())
