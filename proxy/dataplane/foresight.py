"""Foresight: what a worker would do with the next flow of a client, and why.

Invariant: a value of one moment; asking for it changed nothing.
"""

import msgspec


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """The client's entry in the affinity table. `ignored` says why it does not decide, and is empty where it does."""

    endpoint: str
    pod: str
    seconds_left: float
    ignored: str = ""


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """An endpoint (`address:port`) that may be chosen; `chance` is above 0 and at most 1."""

    endpoint: str
    pod: str
    chance: float


class Foresight(msgspec.Struct, frozen=True, array_like=True):
    """The choice for the next flow. `keyed_by` is what the scheduler hashes: "nothing", "source" or "destination".

    `failing` maps endpoints that refused of late to the seconds for which others are preferred. One candidate of
    chance 1 is certain; none means that nobody would serve or, without a client, that its address decides. `flow` is
    the endpoint of a UDP flow that the client has already and that its datagrams go on with.
    """

    scheduler: str
    keyed_by: str
    binding: Binding | None
    failing: dict[str, float]
    candidates: tuple[Candidate, ...]
    flow: Candidate | None = None
