"""Our tables in the kernel: written, adopted, changed, read back and removed, each in one atomic batch.

Invariant: the kernel holds what `Holdings` says, or `write` raised and it holds what it held before.
"""

from collections.abc import Iterable, Iterator, Mapping

from proxy.nftables import messages as msg
from proxy.nftables.attributes import read_attributes, read_comment, read_text, text
from proxy.nftables.chains import Chain, Masquerading, base_chains, chain_rules
from proxy.nftables.family import FAMILIES, Family
from proxy.nftables.flow_removal import departed, forget
from proxy.nftables.holdings import Change, Holdings
from proxy.nftables.netfilter_socket import NetfilterSocket, RefusedError
from proxy.nftables.shares import SETS, Entry, Value, share_of
from proxy.plan.frontend import Frontend, FrontendKey, Pool, Target

TABLE = "svcproxy"
SHAPE = "svcproxy, shape 1: the rules are constant, the Services are in maps and sets"
"""The table's comment. A table of another shape is written anew, never changed."""


class RuleTable:
    """`families` are those that the kernel has. `name` is another one only for the probe."""

    def __init__(
        self,
        socket: NetfilterSocket,
        masquerading: Mapping[Family, Masquerading],
        families: Iterable[Family] = FAMILIES,
        name: str = TABLE,
    ) -> None:
        self._socket = socket
        self._masquerading = masquerading
        self.families = tuple(families)
        self._name = name

    def write(self, holdings: Holdings) -> None:
        """Replace our tables by what `holdings` says, whatever they are. Raises RefusedError."""
        self._run(each for family in self.families for each in self._whole(family, holdings))

    def adopt(self, holdings: Holdings) -> bool:
        """Bring tables that an earlier process left to what `holdings` says, by their difference. Gives whether there
        were any. Raises RefusedError.
        """
        left = {family: self._comment(family) == SHAPE for family in self.families}
        parts: list[bytes] = []
        for family, ours in left.items():
            parts += self._adopted(family, holdings) if ours else self._whole(family, holdings)
        self._run(parts)
        return any(left.values())

    def change(self, changes: Mapping[Family, Change]) -> None:
        """Let changes take force. Raises RefusedError, for one where somebody else edited the table."""
        self._run(
            each
            for family, change in changes.items()
            if family in self.families
            for each in self._changed(family, change)
        )

    def forget_departed(self, changes: Mapping[Family, Change], holdings: Holdings) -> None:
        """End the UDP flows to endpoints that the changes took from their frontends. Raises RefusedError."""
        for family, change in changes.items():
            if family in self.families:
                forget(self._socket, family, departed(family, change, holdings.contents(family)))

    def remove(self) -> None:
        """Delete our tables, in whatever state they are. Raises RefusedError."""
        self._run(each for family in self.families for each in self._absent(family))

    def exists(self) -> bool:
        """Whether there is a table of our name, of whatever shape. Raises RefusedError."""
        return any(self._comment(family) is not None for family in self.families)

    def close(self) -> None:
        """Let go of the socket; the tables stay."""
        self._socket.close()

    def read(self, family: Family) -> tuple[frozenset[str], Mapping[Entry, Value]]:
        """The names of the chains that choose, and every element. Raises RefusedError."""
        base = {chain.name for chain in base_chains(family, Masquerading())}
        found = {
            (name, key): value
            for name in SETS
            for body in self._socket.dump(msg.GET_ELEMENT, family.number, text(1, self._name) + text(2, name))
            for key, value in msg.read_elements(body)
        }
        return frozenset(self._chain_names(family) - base), found

    def _run(self, parts: Iterable[bytes]) -> None:
        collected = list(parts)
        if collected:
            self._socket.run(msg.batch(collected))

    def _comment(self, family: Family) -> str | None:
        """The comment of the table of our name; None where there is none."""
        for body in self._socket.dump(msg.GET_TABLE, family.number, b""):
            found = read_attributes(body)
            if read_text(found[1]) == self._name:
                return read_comment(found.get(6, b"\1"))
        return None

    def _chain_names(self, family: Family) -> set[str]:
        names = set()
        for body in self._socket.dump(msg.GET_CHAIN, family.number, b""):
            found = read_attributes(body)
            if read_text(found[1]) == self._name:
                names.add(read_text(found[3]))
        return names

    def _absent(self, family: Family) -> Iterator[bytes]:
        # That it is made first lets it be deleted whether or not it was there.
        yield msg.new_table(family, self._name, SHAPE)
        yield msg.delete_table(family, self._name)

    def _whole(self, family: Family, holdings: Holdings) -> Iterator[bytes]:
        yield from self._absent(family)
        yield msg.new_table(family, self._name, SHAPE)
        for shape in msg.set_shapes(family):
            yield msg.new_set(family, self._name, shape)
        yield from self._base(family, anew=True)
        yield from self._chains(family, holdings.chains(family).values())
        yield from self._elements(msg.NEW_ELEMENT, family, holdings.contents(family))

    def _adopted(self, family: Family, holdings: Holdings) -> Iterator[bytes]:
        chains, elements = self.read(family)
        wanted, contents = holdings.chains(family), holdings.contents(family)
        yield from self._base(family, anew=False)
        for name in chains & wanted.keys():
            yield msg.empty_chain(family, self._name, name)
        removed = {entry: value for entry, value in elements.items() if contents.get(entry) != value}
        added = {entry: value for entry, value in contents.items() if elements.get(entry) != value}
        change = Change(tuple(wanted.values()), removed, added, tuple(chains - wanted.keys()))
        yield from self._changed(family, change)

    def _changed(self, family: Family, change: Change) -> Iterator[bytes]:
        yield from self._chains(family, change.new_chains)
        yield from self._elements(msg.DELETE_ELEMENT, family, change.removed)
        yield from self._elements(msg.NEW_ELEMENT, family, change.added)
        for name in change.old_chains:
            yield msg.delete_chain(family, self._name, name)

    def _base(self, family: Family, *, anew: bool) -> Iterator[bytes]:
        for chain in base_chains(family, self._masquerading[family]):
            yield msg.new_base_chain(family, self._name, chain)
            if not anew:
                yield msg.empty_chain(family, self._name, chain.name)
            yield from msg.new_rules(family, self._name, chain.name, chain.rules)

    def _chains(self, family: Family, chains: Iterable[Chain]) -> Iterator[bytes]:
        for chain in chains:
            yield msg.new_chain(family, self._name, chain.name)
            yield from msg.new_rules(family, self._name, chain.name, chain_rules(family, chain))

    def _elements(self, kind: int, family: Family, elements: Mapping[Entry, Value]) -> Iterator[bytes]:
        by_set: dict[str, list[tuple[bytes, Value]]] = {name: [] for name in SETS}
        for (name, key), value in elements.items():
            by_set[name].append((key, value))
        for name, values in by_set.items():
            yield from msg.elements(kind, family, self._name, name, values)


def supported_families(socket: NetfilterSocket, masquerading: Mapping[Family, Masquerading]) -> tuple[Family, ...]:
    """The families in which the kernel takes every expression that we need, found out by doing it. Raises RefusedError
    with the reason where that is none."""
    able: list[Family] = []
    reason: RefusedError | None = None
    for family in FAMILIES:
        trial = RuleTable(socket, masquerading, (family,), f"{TABLE}_probe")
        try:
            trial.write(_every_kind_of_chain(family))
            trial.remove()
        except RefusedError as error:
            reason = error
        else:
            able.append(family)
    if not able and reason is not None:
        raise reason
    return tuple(able)


def _every_kind_of_chain(family: Family) -> Holdings:
    """Frontends whose chains use every expression."""
    network = "fd00::" if family.length == 16 else "192.0.2."
    targets = tuple(Target(f"{network}{number}", 1) for number in (1, 2))
    holdings = Holdings()
    for number, scheduler in enumerate(("rr", "random", "sh"), start=3):
        pool = Pool(scheduler, "", "", "TCP", scheduler, "", 0, 0.0, 0.0, targets)
        frontend = Frontend(FrontendKey("TCP", f"{network}{number}", 1), pool.key, "", "ClusterIP")
        holdings.update({frontend.key: share_of(frontend, pool)})
    return holdings
