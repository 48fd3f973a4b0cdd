"""What one frontend puts into the maps and sets. Pure.

Invariant: the same frontend and pool give the same elements in every process, so that a table can be adopted.
"""

from math import gcd
from zlib import crc32

import msgspec

from proxy.nftables.attributes import comment
from proxy.nftables.chains import Chain
from proxy.nftables.family import WILDCARDS, Family, family_of, slot_key
from proxy.plan.frontend import Frontend, Pool, Target

SETS = (
    "services",
    "endpoints",
    "node_services",
    "node_endpoints",
    "frontends",
    "masquerade",
    "node_masquerade",
    "relayed_here",
    "node_relayed_here",
    "reached",
    "hairpins",
)
"""The maps and sets that the plan fills, in the order in which `nft` lists them."""

MOST_SLOTS = 4096
_TURNS = 256
"""Chains of rr for each number of slots. 20,000 chains take the kernel a minute; 256 take no time to speak of."""
_INSIDE = frozenset(("ClusterIP",))

Entry = tuple[str, bytes]
"""The name of a set, and a key."""


class Value(msgspec.Struct, frozen=True, gc=False):
    """What an element has beside its key: data, or the chain to go to, and a comment."""

    data: bytes = b""
    chain: str = ""
    comment: str = ""

    def user_data(self) -> bytes:
        return comment(self.comment) if self.comment else b""


NOTHING = Value()


class Share(msgspec.Struct, frozen=True):
    """One frontend's part of a family's table. `shared` are elements that other frontends may have put in as well."""

    family: Family
    chain: Chain
    own: dict[Entry, Value]
    shared: frozenset[Entry]


def slots_of(pool: Pool) -> tuple[Target, ...]:
    """The endpoints of the slots in their order. Weights are repetitions, taken one by one so that they mix."""
    targets = [target for target in pool.targets if target.weight > 0]
    if pool.scheduler != "wrr":
        return tuple(targets)
    divisor = gcd(*(target.weight for target in targets)) if targets else 1
    weights = [target.weight // divisor for target in targets]
    return tuple(
        target
        for round_ in range(max(weights, default=0))
        for target, weight in zip(targets, weights, strict=True)
        if weight > round_
    )


def share_of(frontend: Frontend, pool: Pool) -> Share:
    """The elements that serve a frontend. The pool has an endpoint with a weight, and `eligibility` allows it."""
    family = family_of(frontend.key.address)
    key = family.frontend_key(*frontend.key)
    slots = slots_of(pool)
    chain = _chain(frontend, pool, len(slots))
    places = [family.endpoint(target.address, target.port) for target in slots]
    prefix = "node_" if frontend.key.address in WILDCARDS else ""
    own: dict[Entry, Value] = {
        (f"{prefix}services", key): Value(chain=chain.name, comment=f"{_service_port(pool)} {frontend.kind}")
    }
    if not prefix:
        own["frontends", key] = NOTHING
    for number, (place, target) in enumerate(zip(places, slots, strict=True)):
        own[f"{prefix}endpoints", key + slot_key(number)] = Value(place, comment=target.pod)
    if frontend.kind not in _INSIDE and not pool.key.endswith("/local"):
        own[f"{prefix}masquerade", key] = NOTHING
    if frontend.own_pool:
        own[f"{prefix}relayed_here", key] = NOTHING
    addresses = {family.packed(target.address) for target in slots}
    shared = {("reached", each) for each in addresses} | {("hairpins", each + each) for each in addresses}
    return Share(family, chain, own, frozenset(shared))


def _chain(frontend: Frontend, pool: Pool, slots: int) -> Chain:
    protocol, address, port = frontend.key
    if slots == 1:
        return Chain("random", 1, address in WILDCARDS)
    turn = pool.scheduler in ("rr", "wrr")
    owner = f"turn{crc32(f'{protocol} {address} {port}'.encode()) % _TURNS}" if turn else ""
    return Chain("rr" if turn else pool.scheduler, slots, address in WILDCARDS, owner)


def _service_port(pool: Pool) -> str:
    return f"{pool.service}:{pool.port_name}" if pool.port_name else pool.service
