"""The difference between two states of the plan's tables.

Invariant: applying `difference(before, after)` to `before` gives `after`, and equal entries are in no Delta.
"""

from collections.abc import Mapping
from typing import NamedTuple

from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool


class Tables(NamedTuple):
    """Pools and frontends by their keys."""

    pools: Mapping[str, Pool]
    frontends: Mapping[FrontendKey, Frontend]


def difference(before: Tables, after: Tables) -> Delta:
    """What is new, changed or gone, each sorted by key."""
    return Delta(
        pools=tuple(pool for key, pool in sorted(after.pools.items()) if before.pools.get(key) != pool),
        frontends=tuple(
            frontend for key, frontend in sorted(after.frontends.items()) if before.frontends.get(key) != frontend
        ),
        removed_frontends=tuple(sorted(before.frontends.keys() - after.frontends.keys())),
        removed_pools=tuple(sorted(before.pools.keys() - after.pools.keys())),
    )
