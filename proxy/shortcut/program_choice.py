"""The part of the programs that chooses an endpoint: affinity first, then the pool's rule over its slots.

The rules compute what proxy/schedulers computes, on the counts that the programs keep. Invariant: with R7 at the pool,
`choose` ends with R8 at an endpoint and its number and generation on the stack, or at REFUSE.
"""

from proxy.bpf.builder import FP, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, ProgramBuilder
from proxy.bpf.instruction import Helper
from proxy.shortcut.layout import CountField, EndpointField, PoolField, Rule
from proxy.shortcut.maps import Maps
from proxy.shortcut.program_hash import add_hsiphash
from proxy.shortcut.program_parts import (
    REFUSE,
    Stack,
    check_generation,
    find_client,
    find_endpoint,
    look_up,
    update,
)

MOST_WALKED = 65_536
"""Rules that walk all slots look at so many."""

_GOLDEN_RATIO = 0x61C88647  # include/linux/hash.h
_CHOSEN, _WALK, _WALKED_SLOT = "endpoint chosen", "walk", "walked slot"


def choose(a: ProgramBuilder, maps: Maps, is_ipv6: bool) -> None:
    """The endpoint of a new flow. A client that is remembered meets its endpoint again while that is there."""
    schedule, done = a.name("schedule"), a.name("done")
    a.copy(8, (FP, Stack.FIRST_SLOT), (R7, PoolField.IN_FORCE), by=R9)
    a.move(R1, R9)
    a.compute(R1, ">>", 32)
    a.when(R1, "==", 0, REFUSE)
    # Read once: it may change between two reads.
    a.copy(8, (FP, Stack.TIMEOUT), (R7, PoolField.AFFINITY_NANOSECONDS))
    a.when(R1, "==", 0, schedule)
    _remembered(a, maps, is_ipv6, done)
    a.label(schedule)
    a.load(8, R9, FP, Stack.FIRST_SLOT)
    _schedule(a, maps, is_ipv6)
    a.copy(4, (FP, Stack.GENERATION), (R8, EndpointField.GENERATION))
    a.load(8, R1, FP, Stack.TIMEOUT)
    a.when(R1, "==", 0, done)
    _remember(a, maps)
    a.label(done)


def add_walk(a: ProgramBuilder, maps: Maps) -> None:
    """The function that rules call for each slot. R1 is the slot's place in the pool, R2 the caller's stack end. It
    returns 1 to stop. The caller's best so far is on its stack: load, and slot as in the table."""
    a.label(_WALKED_SLOT)
    a.move(R6, R2)
    a.load(4, R9, R6, Stack.RULE)
    a.when(R9, "!=", Rule.MAGLEV, "in order")
    _probe(a)
    a.label("in order")
    a.load(4, R3, R6, Stack.FIRST_SLOT)
    a.compute(R1, "+", R3, bits=32)
    a.store(4, FP, -4, R1)
    look_up(a, maps.slots.descriptor, -4)
    a.when(R0, "==", 0, "stop")
    a.load(8, R8, R0)
    a.when(R9, "==", Rule.MAGLEV, "probed")
    a.store(4, FP, -4, R8)
    look_up(a, maps.counts.descriptor, -4)
    a.when(R0, "==", 0, "stop")
    # R8 the slot, R4 its weight, R3 the active connections, R9 the rule.
    a.move(R4, R8)
    a.compute(R4, ">>", 32)
    a.load(8, R3, R0, CountField.OPEN)
    a.load(8, R1, R0, CountField.ELSEWHERE)
    a.compute(R3, "+", R1)
    _measure(a)
    _compare(a)
    a.leave(0)
    a.label("probed")
    a.move(R4, R8)
    a.compute(R4, ">>", 32)
    a.when(R4, "!=", 0, "take it and stop")
    a.leave(0)
    a.label("take it and stop")
    a.store(8, R6, Stack.BEST, 0)
    a.store(8, R6, Stack.BEST_SLOT, R8)
    a.label("stop")
    a.leave(1)


def _probe(a: ProgramBuilder) -> None:
    """R1 = the place that mh looks at when it looks for the R1st time (ip_vs_mh.c, ip_vs_mh_get_fallback)."""
    first, again = a.name("first"), a.name("again")
    a.load(8, R7, R6, Stack.FIRST_SLOT)
    a.compute(R7, ">>", 32)
    a.move(R2, 0)
    a.when(R1, "==", 0, first)
    a.load(4, R2, R6, Stack.PROBED)
    a.compute(R2, "+", R1)
    a.compute(R2, "-", 1)
    a.compute(R2, "%", R7)
    a.label(first)
    a.move(R9, R1)
    a.load(4, R1, R6, Stack.HASHED)
    a.compute(R1, "+", R2)
    add_hsiphash(a)
    a.compute(R1, "%", R7)
    a.when(R9, "!=", 0, again)
    a.store(4, R6, Stack.PROBED, R1)
    a.label(again)
    a.move(R9, Rule.MAGLEV)


def _remembered(a: ProgramBuilder, maps: Maps, is_ipv6: bool, found: str) -> None:
    miss = a.name("miss")
    find_client(a, is_ipv6)
    a.copy(4, (FP, Stack.CLIENT), (R7, PoolField.AFFINITY_GROUP))
    a.call(Helper.MONOTONIC_NANOSECONDS)
    a.store(8, FP, Stack.NOW, R0)
    look_up(a, maps.affinity.descriptor, Stack.CLIENT)
    a.when(R0, "==", 0, miss)
    a.load(8, R1, R0, 8)
    a.load(8, R2, FP, Stack.NOW)
    a.move(R3, R2)
    a.compute(R3, "-", R1)
    a.load(8, R4, FP, Stack.TIMEOUT)
    a.when(R3, ">", R4, miss)
    a.copy(4, (FP, Stack.ENDPOINT), (R0, 0))
    a.copy(4, (FP, Stack.GENERATION), (R0, 4))
    a.move(R9, R0)
    find_endpoint(a, maps, miss)
    check_generation(a, miss)
    # The timeout slides: it begins anew with each connection.
    a.load(8, R2, FP, Stack.NOW)
    a.store(8, R9, 8, R2)
    a.move(R1, 1)
    a.add_atomically(R7, PoolField.HITS, R1)
    a.jump(found)
    a.label(miss)
    a.move(R1, 1)
    a.add_atomically(R7, PoolField.MISSES, R1)


def _remember(a: ProgramBuilder, maps: Maps) -> None:
    a.copy(4, (FP, Stack.CLIENT_VALUE), (FP, Stack.ENDPOINT))
    a.copy(4, (FP, Stack.CLIENT_VALUE + 4), (FP, Stack.GENERATION))
    a.copy(8, (FP, Stack.CLIENT_VALUE + 8), (FP, Stack.NOW))
    update(a, maps.affinity.descriptor, Stack.CLIENT, Stack.CLIENT_VALUE)


def _schedule(a: ProgramBuilder, maps: Maps, is_ipv6: bool) -> None:
    """R8 = an endpoint by the pool's rule; its number is on the stack."""
    draw, source, destination, maglev, two, slot = (
        a.name(text) for text in ("draw", "source", "destination", "maglev", "two", "slot")
    )
    # The function that looks at each slot reads these under one rule alone, and the verifier under all.
    a.store(4, FP, Stack.HASHED, 0)
    a.store(4, FP, Stack.PROBED, 0)
    a.load(1, R1, R7, PoolField.RULE)
    a.store(4, FP, Stack.RULE, R1)
    a.when(R1, "==", Rule.DRAW, draw)
    a.when(R1, "==", Rule.SOURCE, source)
    a.when(R1, "==", Rule.DESTINATION, destination)
    a.when(R1, "==", Rule.MAGLEV, maglev)
    a.when(R1, "==", Rule.TWO_DRAWS, two)
    a.when(R1, ">=", Rule.LEAST, _WALK)
    a.move(R1, 1)
    a.add_atomically(R7, PoolField.TURN, R1, fetch=True)
    a.jump(slot)
    a.label(draw)
    a.call(Helper.RANDOM)
    a.move(R1, R0)
    a.compute(R1, "&", 0x7FFFFFFF)
    a.jump(slot)
    a.label(destination)
    _fold(a, Stack.FRONTEND)
    _hash(a)
    a.jump(slot)
    a.label(maglev)
    find_client(a, is_ipv6)
    _fold(a, Stack.CLIENT + 8)
    a.store(4, FP, Stack.HASHED, R1)
    a.jump(_WALK)
    a.label(source)
    find_client(a, is_ipv6)
    _fold(a, Stack.CLIENT + 8)
    _hash(a)
    a.jump(slot)
    a.label(two)
    _better_of_two(a, maps)
    a.jump(_CHOSEN)
    a.label(_WALK)
    _walk(a)
    a.jump(_CHOSEN)
    a.label(slot)
    _take_slot(a, maps)
    a.label(_CHOSEN)
    find_endpoint(a, maps, REFUSE)


def _take_slot(a: ProgramBuilder, maps: Maps) -> None:
    """The endpoint of the slot that R1 names, modulo their number."""
    _slot_at(a)
    look_up(a, maps.slots.descriptor, Stack.SLOT)
    a.when(R0, "==", 0, REFUSE)
    a.copy(4, (FP, Stack.ENDPOINT), (R0, 0))


def _slot_at(a: ProgramBuilder) -> None:
    """SLOT on the stack = the pool's first slot + R1 modulo how many there are; R9 is PoolField.IN_FORCE."""
    a.move(R2, R9)
    a.compute(R2, ">>", 32)
    a.compute(R1, "%", R2)
    a.compute(R1, "+", R9, bits=32)
    a.store(4, FP, Stack.SLOT, R1)


def _fold(a: ProgramBuilder, place: int) -> None:
    """R1 = the address at a place on the stack in 32 bits, as `dataplane.addresses.fold` has it."""
    a.load(4, R1, FP, place)
    for offset in (4, 8, 12):
        a.load(4, R2, FP, place + offset)
        a.compute(R1, "^", R2)
    a.to_host_order(R1, 32)


def _hash(a: ProgramBuilder) -> None:
    """R1 = its top bits after a multiplication, as `schedulers.hashing.hash_32` has it."""
    a.compute(R1, "*", _GOLDEN_RATIO, bits=32)
    a.load(1, R3, R7, PoolField.HASH_BITS)
    a.move(R2, 32)
    a.compute(R2, "-", R3)
    a.compute(R2, "&", 31)
    a.compute(R1, ">>", R2, bits=32)


def _better_of_two(a: ProgramBuilder, maps: Maps) -> None:
    """Two at random; the second only where it has less overhead for its weight (`schedulers.twos`)."""
    keep = a.name("keep")
    for number in range(2):
        a.call(Helper.RANDOM)
        a.move(R1, R0)
        a.compute(R1, "&", 0x7FFFFFFF)
        _slot_at(a)
        look_up(a, maps.slots.descriptor, Stack.SLOT)
        a.when(R0, "==", 0, REFUSE)
        a.load(8, R8, R0)
        a.store(4, FP, Stack.SLOT, R8)
        look_up(a, maps.counts.descriptor, Stack.SLOT)
        a.when(R0, "==", 0, REFUSE)
        _overhead(a)
        if number == 0:
            a.store(8, FP, Stack.BEST, R3)
            a.store(8, FP, Stack.BEST_SLOT, R8)
    a.move(R4, R8)
    a.compute(R4, ">>", 32)
    a.load(8, R1, FP, Stack.BEST)
    a.compute(R1, "*", R4)
    a.load(8, R2, FP, Stack.BEST_SLOT)
    a.compute(R2, ">>", 32)
    a.compute(R2, "*", R3)
    a.when(R1, "<=", R2, keep)
    a.store(8, FP, Stack.BEST_SLOT, R8)
    a.label(keep)
    a.copy(4, (FP, Stack.ENDPOINT), (FP, Stack.BEST_SLOT))


def _walk(a: ProgramBuilder) -> None:
    """The best of all slots, by bpf_loop: the verifier looks at the function once, however many there are. mh looks
    until it has found one that may be chosen, which nearly always is the first."""
    few = a.name("few")
    a.store(8, FP, Stack.BEST, 0)
    # Nothing yet: every slot has a weight.
    a.store(8, FP, Stack.BEST_SLOT, 0)
    a.move(R1, R9)
    a.compute(R1, ">>", 32)
    a.when(R1, "<=", MOST_WALKED, few)
    a.move(R1, MOST_WALKED)
    a.label(few)
    a.function(R2, _WALKED_SLOT)
    a.move(R3, FP)
    a.move(R4, 0)
    a.call(Helper.LOOP)
    # FIRST_FREE may have found none.
    a.load(8, R1, FP, Stack.BEST_SLOT)
    a.when(R1, "==", 0, REFUSE)
    a.store(4, FP, Stack.ENDPOINT, R1)


def _overhead(a: ProgramBuilder) -> None:
    """With R0 at the counts: R3 = 256 * active + inactive (include/net/ip_vs.h, ip_vs_dest_conn_overhead)."""
    a.load(8, R3, R0, CountField.OPEN)
    a.load(8, R1, R0, CountField.ELSEWHERE)
    a.compute(R3, "+", R1)
    _add_inactive(a)


def _add_inactive(a: ProgramBuilder) -> None:
    """With R0 at the counts: R3 = 256 * R3 + inactive."""
    a.compute(R3, "<<", 8)
    for field in (CountField.INACTIVE, CountField.INACTIVE_ELSEWHERE):
        a.load(8, R1, R0, field)
        a.compute(R3, "+", R1)


def _measure(a: ProgramBuilder) -> None:
    """R3 = what the rule compares, from the active connections in R3 and the counts at R0."""
    delay = a.name("delay")
    first_free, measured, busy = a.name("first free"), a.name("measured"), a.name("busy")
    a.when(R9, "==", Rule.FIRST_FREE, first_free)
    a.when(R9, "!=", Rule.LEAST, delay)
    _add_inactive(a)
    a.jump(measured)
    a.label(first_free)
    a.when(R3, "<=", R4, "take it and stop")
    a.leave(0)
    a.label(delay)
    a.when(R9, "!=", Rule.IDLE_FIRST, busy)
    a.when(R3, "==", 0, "take it and stop")
    a.label(busy)
    a.compute(R3, "+", 1)
    a.label(measured)


def _compare(a: ProgramBuilder) -> None:
    """Keep the slot in R8 where its R3 for its weight in R4 is strictly less than the best's; a tie keeps the first."""
    keep, next_slot = a.name("keep"), a.name("next")
    a.load(8, R2, R6, Stack.BEST_SLOT)
    a.compute(R2, ">>", 32)
    a.when(R2, "==", 0, keep)
    a.load(8, R1, R6, Stack.BEST)
    a.compute(R1, "*", R4)
    a.move(R5, R3)
    a.compute(R5, "*", R2)
    a.when(R1, "<=", R5, next_slot)
    a.label(keep)
    a.store(8, R6, Stack.BEST, R3)
    a.store(8, R6, Stack.BEST_SLOT, R8)
    a.label(next_slot)
