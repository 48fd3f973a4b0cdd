"""What the tables shall hold, and what a change of the plan makes of it. Pure.

Invariant: `contents` is what the shares give together, in whatever order they came; applying every `Change` in turn
leads to the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from proxy.nftables.chains import Chain
from proxy.nftables.family import FAMILIES, Family
from proxy.nftables.shares import NOTHING, Entry, Share, Value
from proxy.plan.frontend import FrontendKey


class Change(NamedTuple):
    """What differs in one family's table. An element of `removed` that is also in `added` is replaced."""

    new_chains: tuple[Chain, ...]
    removed: Mapping[Entry, Value]
    added: Mapping[Entry, Value]
    old_chains: tuple[str, ...]

    def __bool__(self) -> bool:
        return any(self)


class _Table:
    """One family. Chains and shared elements are counted."""

    def __init__(self) -> None:
        self.chains: dict[str, Chain] = {}
        self.elements: dict[Entry, Value] = {}
        self._chain_users: Counter[str] = Counter()
        self._sharers: Counter[Entry] = Counter()

    def add(self, share: Share) -> None:
        self.chains[share.chain.name] = share.chain
        self.elements |= share.own
        for entry in share.shared:
            self.elements[entry] = NOTHING
        self._chain_users[share.chain.name] += 1
        self._sharers.update(share.shared)

    def remove(self, share: Share) -> None:
        for entry in (*share.own, *_without_users(self._sharers, share.shared)):
            del self.elements[entry]
        for name in _without_users(self._chain_users, (share.chain.name,)):
            del self.chains[name]


_Counted = TypeVar("_Counted")


def _without_users(users: Counter[_Counted], left: Iterable[_Counted]) -> list[_Counted]:
    """Which of them this was the last user of."""
    gone = []
    for each in left:
        users[each] -= 1
        if not users[each]:
            del users[each]
            gone.append(each)
    return gone


class Holdings:
    """The shares of all frontends that are served."""

    def __init__(self) -> None:
        self._shares: dict[FrontendKey, Share] = {}
        self._tables = {family: _Table() for family in FAMILIES}

    def __contains__(self, key: FrontendKey) -> bool:
        return key in self._shares

    def __len__(self) -> int:
        return len(self._shares)

    def chains(self, family: Family) -> Mapping[str, Chain]:
        """Every chain that chooses, by its name."""
        return self._tables[family].chains

    def contents(self, family: Family) -> Mapping[Entry, Value]:
        """Every element."""
        return self._tables[family].elements

    def update(self, shares: Mapping[FrontendKey, Share | None]) -> Mapping[Family, Change]:
        """Take over the new shares of some frontends; None is for one that is not served any more."""
        new = {key: share for key, share in shares.items() if share != self._shares.get(key)}
        old = {key: self._shares[key] for key in new if key in self._shares}
        before = {family: _touched(self._tables[family], family, (*new.values(), *old.values())) for family in FAMILIES}
        for key, share in old.items():
            self._tables[share.family].remove(share)
            del self._shares[key]
        for key, wanted in new.items():
            if wanted is not None:
                self._tables[wanted.family].add(wanted)
                self._shares[key] = wanted
        changes = {family: _difference(self._tables[family], *before[family]) for family in FAMILIES}
        return {family: change for family, change in changes.items() if change}


_Before = tuple[dict[Entry, Value | None], dict[str, bool]]


def _touched(table: _Table, family: Family, shares: Iterable[Share | None]) -> _Before:
    """What the table has now of everything that the shares name."""
    elements: dict[Entry, Value | None] = {}
    chains: dict[str, bool] = {}
    for share in shares:
        if share is not None and share.family is family:
            elements |= {entry: table.elements.get(entry) for entry in (*share.own, *share.shared)}
            chains[share.chain.name] = share.chain.name in table.chains
    return elements, chains


def _difference(table: _Table, elements: Mapping[Entry, Value | None], chains: Mapping[str, bool]) -> Change:
    after = {entry: table.elements.get(entry) for entry in elements}
    differing = [entry for entry, value in after.items() if value != elements[entry]]
    return Change(
        tuple(table.chains[name] for name, was in chains.items() if not was and name in table.chains),
        {entry: value for entry in differing if (value := elements[entry]) is not None},
        {entry: value for entry in differing if (value := after[entry]) is not None},
        tuple(name for name, was in chains.items() if was and name not in table.chains),
    )
