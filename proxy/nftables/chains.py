"""The chains of the table and their rules. Pure.

Invariant: the rules of a chain follow from its value alone, so a table that was made by an earlier process needs no
reading of rules to be brought up to date. No rule names a Service.
"""

from collections.abc import Iterator

import msgspec

from proxy.nftables import expressions as ex
from proxy.nftables.family import Family

Rule = tuple[str, tuple[bytes, ...]]
"""A comment and expressions."""

DEFAULT_MARK = 1 << 14
"""The bit by which kube-proxy, too, marks packets that shall be masqueraded (masqueradeBit 14)."""


class Chain(msgspec.Struct, frozen=True, gc=False):
    """How a connection to a frontend gets its slot. `choice` is random, rr, sh or dh; `slots` is how many there are.

    `node` is for node ports on every address of the machine. `owner` keeps the turn of rr apart from that of most other
    frontends.
    """

    choice: str
    slots: int
    node: bool = False
    owner: str = ""

    @property
    def name(self) -> str:
        parts = (self.choice, str(self.slots), "node" if self.node else "", self.owner)
        return "_".join(part for part in parts if part)


class BaseChain(msgspec.Struct, frozen=True):
    """A chain that the kernel calls: at the hook's number, with a priority."""

    name: str
    hook: int
    priority: int
    rules: tuple[Rule, ...]


class Masquerading(msgspec.Struct, frozen=True):
    """`everything` masquerades every client of a frontend. `cluster` is the network and mask of the pods' addresses;
    clients of a ClusterIP from elsewhere are masqueraded. `mark` is the bit to use."""

    mark: int = DEFAULT_MARK
    everything: bool = False
    cluster: tuple[bytes, bytes] | None = None


def base_chains(family: Family, masquerading: Masquerading) -> tuple[BaseChain, ...]:
    """The three chains at the hooks: clients from elsewhere, clients on this machine, and what leaves."""
    marks = tuple(_marks(family, masquerading))
    return (
        BaseChain("prerouting", 0, -100, (*marks, *_dispatch(family))),
        BaseChain("output", 3, -100, (*_relayed_here(family), *_dispatch(family))),
        BaseChain("postrouting", 4, 100, tuple(_masquerade(family, masquerading.mark))),
    )


def chain_rules(family: Family, chain: Chain) -> tuple[Rule, ...]:
    """The rules of a chain that chooses."""
    key, prefix = _key(family, node=chain.node)
    expressions = (
        *_frontend(family, node=chain.node),
        *_slot(family, chain),
        ex.find_value(f"{prefix}endpoints", key, family.value),
        ex.translate(family, family.value),
    )
    return (("choose an endpoint", expressions),)


def _key(family: Family, *, node: bool) -> tuple[int, str]:
    """The first register of a frontend's key, and how the names of its sets begin. Node ports have no address."""
    return (family.frontend + family.words, "node_") if node else (family.frontend, "")


def _frontend(family: Family, *, node: bool) -> tuple[bytes, ...]:
    after = family.frontend + family.words
    port = (ex.protocol(after), ex.destination_port(after + 1))
    return port if node else (ex.network_header(family.frontend, family.destination, family.length), *port)


def _slot(family: Family, chain: Chain) -> tuple[bytes, ...]:
    if chain.choice in ("sh", "dh"):
        offset = family.source if chain.choice == "sh" else family.destination
        load = ex.network_header(family.client, offset, family.length)
        return load, ex.hash_of(family.client, family.length, family.value, chain.slots)
    return (ex.next_number(family.value, chain.slots, random=chain.choice == "random"),)


def _dispatch(family: Family) -> tuple[Rule, ...]:
    node, _ = _key(family, node=True)
    any_address = (*ex.of_this_machine(), *ex.not_loopback(family), *_frontend(family, node=True))
    return (
        (
            "Services by address",
            (*_frontend(family, node=False), ex.find_value("services", family.frontend, 0)),
        ),
        (
            "node ports on every address of this machine but loopback",
            (*any_address, ex.find_value("node_services", node, 0)),
        ),
    )


def _relayed_here(family: Family) -> Iterator[Rule]:
    node, _ = _key(family, node=True)
    words = "traffic policy Local is not for this machine's own clients: the listener has their endpoints"
    yield words, (*_frontend(family, node=False), ex.find("relayed_here", family.frontend), ex.leave())
    any_address = (*ex.of_this_machine(), *_frontend(family, node=True))
    yield "the same on node ports", (*any_address, ex.find("node_relayed_here", node), ex.leave())


def _marks(family: Family, masquerading: Masquerading) -> Iterator[Rule]:
    mark = ex.set_mark(masquerading.mark)
    by_address = _frontend(family, node=False)
    node, _ = _key(family, node=True)
    yield (
        "clients from outside, traffic policy Cluster",
        (*by_address, ex.find("masquerade", family.frontend), *mark),
    )
    any_address = (*ex.of_this_machine(), *_frontend(family, node=True))
    yield "the same on node ports", (*any_address, ex.find("node_masquerade", node), *mark)
    every = ex.find("frontends", family.frontend)
    if masquerading.everything:
        yield "masqueradeAll", (*by_address, every, *mark)
    elif masquerading.cluster is not None:
        outside = ex.outside(family, *masquerading.cluster)
        yield "clients from outside of clusterCIDR", (*outside, *by_address, every, *mark)


def _masquerade(family: Family, mark: int) -> Iterator[Rule]:
    yield "marked on the way in", (*ex.has_mark(mark), ex.masquerade())
    own = (*ex.was_translated(), *ex.of_this_machine(source=True))
    reached = (
        ex.network_header(family.client, family.destination, family.length),
        ex.find("reached", family.client),
    )
    yield "clients on this machine, whose address may be a Service's", (*own, *reached, ex.masquerade())
    pair = (
        ex.network_header(family.client, family.source, family.length),
        ex.network_header(family.frontend, family.destination, family.length),
        ex.find("hairpins", family.client),
    )
    yield "an endpoint that reaches itself through its Service", (*ex.was_translated(), *pair, ex.masquerade())
