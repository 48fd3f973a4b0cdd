"""Which frontends nftables may serve, and in words why it does not serve the others. Pure.

Invariant: what the rules cannot do exactly as the relay does it is left to the relay, one frontend at a time.
"""

import ipaddress

import msgspec

from proxy.nftables.family import PROTOCOLS, WILDCARDS, Family, family_of
from proxy.nftables.shares import MOST_SLOTS, slots_of
from proxy.paths.path import relay_only
from proxy.plan.frontend import Frontend, Pool

SCHEDULERS = frozenset(("dh", "random", "rr", "sh", "wrr"))
"""Those that need no more than a number or a hash. The others compare connections, or need a table of their own."""


class Circumstances(msgspec.Struct, frozen=True):
    """`families` are those that the kernel has; `access_log` is whether each flow shall be logged."""

    families: tuple[Family, ...]
    access_log: bool = False


def refusal(frontend: Frontend, pool: Pool, circumstances: Circumstances) -> str:
    """Why the relay serves this frontend, or an empty string where the kernel may."""
    return relay_only(pool) or _of_frontend(frontend, circumstances) or _of_pool(frontend, pool)


def _of_frontend(frontend: Frontend, circumstances: Circumstances) -> str:
    family = family_of(frontend.key.address)
    if family not in circumstances.families:
        return f"the kernel has no nftables for {family.name}"
    if frontend.key.protocol not in PROTOCOLS:
        return f"the protocol {frontend.key.protocol} needs the relay"
    if circumstances.access_log:
        return "the access log needs the relay"
    if frontend.source_ranges:
        return "loadBalancerSourceRanges need the relay"
    if frontend.key.address not in WILDCARDS and _is_loopback(frontend.key.address):
        return "packets to a loopback address never leave this machine"
    return ""


def _of_pool(frontend: Frontend, pool: Pool) -> str:
    if pool.affinity_seconds:
        return "sessionAffinity ClientIP needs the relay"
    if pool.protocol == "TCP" and pool.idle_timeout:
        return "an idle limit for TCP needs the relay"
    if pool.scheduler not in SCHEDULERS:
        return f"the scheduler {pool.scheduler} needs the relay"
    slots = slots_of(pool)
    if not slots:
        return "there is no endpoint, so the listener refuses"
    if len(slots) > MOST_SLOTS:
        return f"the weights take {len(slots)} slots, and {MOST_SLOTS} is the most"
    family = family_of(frontend.key.address)
    for target in slots:
        if family_of(target.address) is not family:
            return "an endpoint of the other IP family needs the relay"
        if _is_loopback(target.address):
            return f"the endpoint {target.address} is a loopback address, which packets from elsewhere never reach"
    return ""


def _is_loopback(address: str) -> bool:
    # Asked for every endpoint of a plan, where ipaddress takes ten times as long.
    return address.startswith("127.") or (":" in address and ipaddress.IPv6Address(address).is_loopback)
