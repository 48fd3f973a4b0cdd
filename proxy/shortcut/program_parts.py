"""What several of the programs do: build a frontend's key, find the frontend and its pool, write an address.

Each function adds lines to a builder. R6 is the context (struct bpf_sock_addr) throughout, R7 the pool and R8 the
endpoint once they are known; R9 is scratch that outlives a call. Invariant: every place on the stack has one meaning in
all programs (`Stack`), and no line reads one before it is written: the verifier sees to that.
"""

import enum
import socket

from proxy.bpf.builder import FP, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, ProgramBuilder
from proxy.bpf.instruction import Helper
from proxy.shortcut.layout import OWN_NAMESPACE_POOL, ConfigField, EndpointField, FrontendFlag, PoolField
from proxy.shortcut.maps import Maps

# include/uapi/linux/bpf.h: struct bpf_sock_addr. Addresses and the port are in network order.
USER_IPV4, USER_IPV6, USER_PORT, PROTOCOL, SOCKET = 4, 8, 24, 36, 64
# struct bpf_sock.
_SOURCE_IPV4, _SOURCE_IPV6 = 24, 28
_MAPPED = 0xFFFF0000  # The third word of ::ffff:0:0/96, as a little-endian machine reads it.
_LOOPBACK_NET = 127
_ECONNREFUSED = 111

# Labels that every program has.
PASS, REFUSE = "pass", "refuse"


class Stack(enum.IntEnum):
    """Places on the stack, as offsets from its end."""

    FRONTEND = -24
    """The frontend's key, 20 bytes."""
    POOL = -28
    ENDPOINT = -32
    GENERATION = -36
    SLOT = -40
    FRONTEND_FLAGS = -44
    BEST = -56
    """The load of the best endpoint so far."""
    BEST_SLOT = -64
    CLIENT = -88
    """An affinity key, 24 bytes."""
    CLIENT_VALUE = -104
    FLOW = -136
    """A flow's key, 32 bytes."""
    FLOW_VALUE = -152
    REVERSE = -184
    """A reverse key, 32 bytes."""
    REVERSE_VALUE = -208
    NOW = -216
    TIMEOUT = -224
    FIRST_SLOT = -232
    """As PoolField.IN_FORCE."""
    POOL_ADDRESS = -240
    ZERO = -244
    RULE = -248
    HASHED = -252
    """The client's address in 32 bits."""
    PROBED = -256
    """The first place that mh looked at."""


def look_up(a: ProgramBuilder, descriptor: int, key: int) -> None:
    """R0 = the value's address, or 0."""
    a.map(R1, descriptor)
    a.stack(R2, key)
    a.call(Helper.MAP_LOOKUP_ELEMENT)


def update(a: ProgramBuilder, descriptor: int, key: int, value: int) -> None:
    """Add or replace an entry; R0 is 0 where that worked."""
    a.map(R1, descriptor)
    a.stack(R2, key)
    a.stack(R3, value)
    a.move(R4, 0)
    a.call(Helper.MAP_UPDATE_ELEMENT)


def build_key(a: ProgramBuilder, is_ipv6: bool) -> None:
    """The key of the frontend that is asked for, on the stack. An IPv4-mapped address becomes an IPv4 one."""
    if is_ipv6:
        _build_address6(a)
    else:
        _clear_address(a, Stack.FRONTEND)
        a.load(4, R1, R6, USER_IPV4)
        a.store(4, FP, Stack.FRONTEND, R1)
        a.move(R2, socket.AF_INET << 24)
    a.load(4, R1, R6, USER_PORT)
    a.compute(R1, "&", 0xFFFF)
    a.compute(R1, "|", R2)
    a.load(4, R3, R6, PROTOCOL)
    a.compute(R3, "&", 0xFF)
    a.compute(R3, "<<", 16)
    a.compute(R1, "|", R3)
    a.store(4, FP, Stack.FRONTEND + 16, R1)


def find_frontend(a: ProgramBuilder, maps: Maps) -> None:
    """R0 = the frontend's value: that of the very address first, then that of every local address. Or go to PASS."""
    found, wildcard = a.name("found"), a.name("wildcard")
    look_up(a, maps.frontends.descriptor, Stack.FRONTEND)
    a.when(R0, "!=", 0, found)
    # The place of a flow's key is free until a frontend is found.
    _clear_address(a, Stack.FLOW)
    a.copy(4, (FP, Stack.FLOW + 16), (FP, Stack.FRONTEND + 16))
    look_up(a, maps.frontends.descriptor, Stack.FLOW)
    a.when(R0, "==", 0, PASS)
    a.move(R8, R0)
    _check_local(a, maps, wildcard)
    a.label(wildcard)
    a.move(R0, R8)
    a.label(found)
    a.load(4, R1, R0, 4)
    a.store(4, FP, Stack.FRONTEND_FLAGS, R1)
    a.copy(4, (FP, Stack.POOL), (R0, 0))


def find_pool(a: ProgramBuilder, maps: Maps) -> None:
    """R7 = the pool of the frontend that was found. Or go to PASS, for a client of another network namespace where the
    frontend or its endpoints mean something in this one alone, and where nobody has tended the tables for long."""
    anywhere = a.name("anywhere")
    look_up(a, maps.pools.descriptor, Stack.POOL)
    a.when(R0, "==", 0, PASS)
    a.move(R7, R0)
    _check_beat(a, maps)
    a.load(4, R1, R7, PoolField.FLAGS)
    a.compute(R1, "&", OWN_NAMESPACE_POOL)
    a.load(4, R2, FP, Stack.FRONTEND_FLAGS)
    a.compute(R2, "&", FrontendFlag.OWN_NAMESPACE)
    a.compute(R1, "|", R2)
    a.when(R1, "==", 0, anywhere)
    _check_namespace(a)
    a.label(anywhere)


def find_endpoint(a: ProgramBuilder, maps: Maps, gone: str) -> None:
    """R8 = the endpoint whose number is on the stack."""
    look_up(a, maps.endpoints.descriptor, Stack.ENDPOINT)
    a.when(R0, "==", 0, gone)
    a.move(R8, R0)


def check_generation(a: ProgramBuilder, gone: str) -> None:
    """Go to `gone` unless the endpoint at R8 is still the one of the generation on the stack."""
    a.load(4, R1, R8, EndpointField.GENERATION)
    a.when(R1, "==", 0, gone)
    a.load(4, R2, FP, Stack.GENERATION)
    a.when(R1, "!=", R2, gone)


def find_client(a: ProgramBuilder, is_ipv6: bool) -> None:
    """Who asks, at CLIENT + 4 on the stack: the socket's bound source address, else its network namespace."""
    unbound, done = a.name("unbound"), a.name("client")
    a.store(8, FP, Stack.CLIENT + 8, 0)
    a.store(8, FP, Stack.CLIENT + 16, 0)
    a.load(8, R1, R6, SOCKET)
    if is_ipv6:
        # The IPv4 address of a socket that is bound to an IPv6 one says nothing: the kernel puts 127.0.0.6 there.
        plain, four = a.name("plain"), a.name("four")
        for offset in range(0, 16, 4):
            a.load(4, R2, R1, _SOURCE_IPV6 + offset)
            a.store(4, FP, Stack.CLIENT + 8 + offset, R2)
        a.load(8, R2, FP, Stack.CLIENT + 8)
        a.load(8, R3, FP, Stack.CLIENT + 16)
        a.move(R4, R2)
        a.compute(R4, "|", R3)
        a.when(R4, "==", 0, unbound)
        a.when(R2, "!=", 0, plain)
        a.load(4, R2, FP, Stack.CLIENT + 20)
        a.load(4, R3, FP, Stack.CLIENT + 16)
        a.when(R3, "!=", _MAPPED, plain, bits=32)
        a.store(8, FP, Stack.CLIENT + 16, 0)
        a.jump(four)
        a.label(plain)
        a.store(4, FP, Stack.CLIENT + 4, socket.AF_INET6)
        a.jump(done)
        a.label(four)
    else:
        a.load(4, R2, R1, _SOURCE_IPV4)
        a.when(R2, "==", 0, unbound)
    a.store(4, FP, Stack.CLIENT + 8, R2)
    a.store(4, FP, Stack.CLIENT + 4, socket.AF_INET)
    a.jump(done)
    a.label(unbound)
    a.store(4, FP, Stack.CLIENT + 4, 0)
    a.move(R1, R6)
    a.call(Helper.NAMESPACE_COOKIE)
    a.store(8, FP, Stack.CLIENT + 8, R0)
    a.label(done)


def write_address(a: ProgramBuilder, is_ipv6: bool) -> None:
    """The context's address and port = the sixteen bytes and two at R8, in the form in which the caller asked."""
    a.load(2, R1, R8, EndpointField.PORT)
    a.store(4, R6, USER_PORT, R1)
    if not is_ipv6:
        a.load(4, R1, R8, 0)
        a.store(4, R6, USER_IPV4, R1)
        return
    plain, done = a.name("plain"), a.name("written")
    # The context is asked again: a flag in a register would have the verifier follow both cases all the way.
    a.load(4, R1, R6, USER_IPV6)
    a.load(4, R2, R6, USER_IPV6 + 4)
    a.compute(R1, "|", R2)
    a.when(R1, "!=", 0, plain)
    a.load(4, R1, R6, USER_IPV6 + 8)
    a.when(R1, "!=", _MAPPED, plain, bits=32)
    a.load(4, R1, R8, 0)
    a.store(4, R6, USER_IPV6 + 12, R1)
    a.jump(done)
    a.label(plain)
    for offset in range(0, 16, 4):
        a.load(4, R1, R8, offset)
        a.store(4, R6, USER_IPV6 + offset, R1)
    a.label(done)


def add_verdicts(a: ProgramBuilder) -> None:
    """The ends: REFUSE, unless the listener shall decide, and PASS. A caller that passes meets the listener."""
    a.label(REFUSE)
    a.load(4, R1, FP, Stack.FRONTEND_FLAGS)
    a.when(R1, "&", FrontendFlag.EMPTY_PASSES, PASS)
    a.move(R1, 1)
    a.add_atomically(R7, PoolField.REFUSED, R1)
    a.move(R1, -_ECONNREFUSED)
    a.call(Helper.SET_RETURN_VALUE)
    a.leave(0)
    a.label(PASS)
    a.leave(1)


def _build_address6(a: ProgramBuilder) -> None:
    plain, done = a.name("plain"), a.name("keyed")
    for word, register in enumerate((R1, R2, R3, R4)):
        a.load(4, register, R6, USER_IPV6 + 4 * word)
    a.move(R5, R1)
    a.compute(R5, "|", R2)
    a.when(R5, "!=", 0, plain)
    a.when(R3, "!=", _MAPPED, plain, bits=32)
    _clear_address(a, Stack.FRONTEND)
    a.store(4, FP, Stack.FRONTEND, R4)
    a.move(R2, socket.AF_INET << 24)
    a.jump(done)
    a.label(plain)
    for word, register in enumerate((R1, R2, R3, R4)):
        a.store(4, FP, Stack.FRONTEND + 4 * word, register)
    a.move(R2, socket.AF_INET6 << 24)
    a.label(done)


def _clear_address(a: ProgramBuilder, place: int) -> None:
    a.store(8, FP, place, 0)
    a.store(8, FP, place + 8, 0)


def _check_local(a: ProgramBuilder, maps: Maps, local: str) -> None:
    """Go to `local` if the address asked for is one of this machine, else to PASS. A loopback or wildcard address means
    the caller's own namespace, so the caller must be in this proxy's."""
    six, loopback, other = a.name("six"), a.name("loopback"), a.name("other")
    a.load(1, R1, FP, Stack.FRONTEND + 19)
    a.when(R1, "==", socket.AF_INET6, six)
    a.load(4, R1, FP, Stack.FRONTEND)
    a.when(R1, "==", 0, loopback)
    a.compute(R1, "&", 0xFF)
    a.when(R1, "==", _LOOPBACK_NET, loopback)
    a.jump(other)
    a.label(six)
    a.load(8, R1, FP, Stack.FRONTEND)
    a.when(R1, "!=", 0, other)
    a.load(8, R1, FP, Stack.FRONTEND + 8)
    a.when(R1, "==", 0, loopback)
    a.compute(R1, ">>", 56)
    a.when(R1, "!=", 1, other)
    a.label(loopback)
    _look_up_config(a, maps)
    a.load(8, R9, R0, ConfigField.OWN_NAMESPACE)
    _check_namespace(a)
    a.jump(local)
    a.label(other)
    a.copy(16, (FP, Stack.FLOW), (FP, Stack.FRONTEND))
    a.load(1, R1, FP, Stack.FRONTEND + 19)
    a.store(4, FP, Stack.FLOW + 16, R1)
    look_up(a, maps.local.descriptor, Stack.FLOW)
    a.when(R0, "==", 0, PASS)


def _look_up_config(a: ProgramBuilder, maps: Maps) -> None:
    """R0 = the configuration."""
    a.store(4, FP, Stack.ZERO, 0)
    look_up(a, maps.config.descriptor, Stack.ZERO)
    a.when(R0, "==", 0, PASS)


def _check_beat(a: ProgramBuilder, maps: Maps) -> None:
    """Leaves R9 = the cookie of this proxy's network namespace."""
    fresh = a.name("fresh")
    _look_up_config(a, maps)
    a.load(8, R9, R0, ConfigField.OWN_NAMESPACE)
    a.move(R8, R0)
    a.load(8, R1, R8, ConfigField.BEAT_LIMIT)
    a.when(R1, "==", 0, fresh)
    a.call(Helper.COARSE_NANOSECONDS)
    a.load(8, R1, R8, ConfigField.BEAT)
    a.load(8, R2, R8, ConfigField.BEAT_LIMIT)
    a.compute(R1, "+", R2)
    a.when(R0, ">", R1, PASS)
    a.label(fresh)


def _check_namespace(a: ProgramBuilder) -> None:
    """With R9 = the cookie of this proxy's namespace: go to PASS for a caller of another one."""
    a.move(R1, R6)
    a.call(Helper.NAMESPACE_COOKIE)
    a.when(R0, "!=", R9, PASS)
