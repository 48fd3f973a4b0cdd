"""The programs, one for each hook on the cgroup.

connect puts an endpoint in place of a Service's address and notes both with the socket. sendmsg does so for each
datagram of an unconnected socket. recvmsg and getpeername say the Service's address again. release and sock_ops count
what has ended. Invariant: a program that cannot do its work leaves the call as it was: the caller meets the listener.
"""

import socket
from collections.abc import Mapping

from proxy.bpf.builder import FP, R0, R1, R2, R3, R4, R6, R7, R8, R9, Code, ProgramBuilder
from proxy.bpf.cgroup_link import Hook
from proxy.bpf.instruction import Helper
from proxy.shortcut.layout import (
    FAILURE_RING,
    ConfigField,
    Counted,
    CountField,
    EndpointField,
    PeerField,
    PoolField,
)
from proxy.shortcut.maps import Maps
from proxy.shortcut.program_choice import add_walk, choose
from proxy.shortcut.program_parts import (
    PASS,
    SOCKET,
    Stack,
    add_verdicts,
    build_key,
    check_generation,
    find_endpoint,
    find_frontend,
    find_pool,
    look_up,
    update,
    write_address,
)

# include/uapi/linux/bpf.h: struct bpf_sock_ops, and enum bpf_sock_ops_op.
_OPERATION, _OLD_STATE, _NEW_STATE, _RECEIVED, _ACKNOWLEDGED, _OPS_SOCKET = 0, 4, 8, 168, 176, 184
_CONNECTING, _STATE_CHANGED = 3, 10
_TELL_STATES = 1 << 2  # BPF_SOCK_OPS_STATE_CB_FLAG
# enum of TCP states.
_ESTABLISHED, _SYN_SENT, _FIN_WAIT1, _CLOSE, _CLOSE_WAIT = 1, 2, 4, 7, 8
_CREATE = 1  # BPF_SK_STORAGE_GET_F_CREATE
_WRITE = "write"


def programs(maps: Maps, flow_timeout: float) -> Mapping[Hook, Code]:
    """Every program over these maps. `flow_timeout` is in seconds: what an unconnected socket sends after such a
    silence is a new flow."""
    nanoseconds = int(flow_timeout * 1e9)
    return {
        Hook.CONNECT4: _connect(maps, is_ipv6=False),
        Hook.CONNECT6: _connect(maps, is_ipv6=True),
        Hook.SENDMSG4: _send(maps, nanoseconds, is_ipv6=False),
        Hook.SENDMSG6: _send(maps, nanoseconds, is_ipv6=True),
        Hook.RECVMSG4: _turn_back(maps, is_ipv6=False, receives=True),
        Hook.RECVMSG6: _turn_back(maps, is_ipv6=True, receives=True),
        Hook.GETPEERNAME4: _turn_back(maps, is_ipv6=False, receives=False),
        Hook.GETPEERNAME6: _turn_back(maps, is_ipv6=True, receives=False),
        Hook.RELEASE: _release(maps),
        Hook.SOCK_OPS: _socket_operations(maps),
    }


def _connect(maps: Maps, is_ipv6: bool) -> Code:
    a = ProgramBuilder()
    _find(a, maps, is_ipv6)
    choose(a, maps, is_ipv6)
    _note_peer(a, maps)
    a.label(_WRITE)
    write_address(a, is_ipv6)
    a.leave(1)
    add_verdicts(a)
    add_walk(a, maps)
    return a.code()


def _send(maps: Maps, timeout: int, is_ipv6: bool) -> Code:
    a = ProgramBuilder()
    _find(a, maps, is_ipv6)
    _known_flow(a, maps, timeout, "new")
    a.jump(_WRITE)
    a.label("new")
    choose(a, maps, is_ipv6)
    _count_choice(a, maps, "uncounted")
    # Nobody says when such a flow ends: it is inactive, and over, from the beginning.
    a.add_atomically(R0, CountField.INACTIVE, R1)
    a.add_atomically(R0, CountField.CLOSED, R1)
    a.label("uncounted")
    _note_flow(a, maps)
    a.label(_WRITE)
    write_address(a, is_ipv6)
    a.leave(1)
    add_verdicts(a)
    add_walk(a, maps)
    return a.code()


def _turn_back(maps: Maps, is_ipv6: bool, receives: bool) -> Code:
    """An endpoint's address becomes the Service's again: of a connected socket by what is kept with it, else by what
    the socket has sent."""
    a = ProgramBuilder()
    a.move(R6, R1)
    build_key(a, is_ipv6)
    _peer_of_context(a, maps, create=False)
    a.when(R0, "==", 0, "unconnected")
    a.load(1, R1, R0, PeerField.FAMILY)
    a.when(R1, "==", 0, "unconnected")
    for offset in (0, 8):
        a.load(8, R1, R0, PeerField.ENDPOINT_ADDRESS + offset)
        a.load(8, R2, FP, Stack.FRONTEND + offset)
        a.when(R1, "!=", R2, "unconnected")
    a.load(2, R1, R0, PeerField.ENDPOINT_PORT)
    a.load(2, R2, FP, Stack.FRONTEND + 16)
    a.when(R1, "!=", R2, "unconnected")
    a.move(R8, R0)
    write_address(a, is_ipv6)
    a.leave(1)
    a.label("unconnected")
    if receives:
        _reverse_key(a)
        look_up(a, maps.reverse.descriptor, Stack.REVERSE)
        a.when(R0, "==", 0, PASS)
        a.move(R8, R0)
        write_address(a, is_ipv6)
    a.label(PASS)
    a.leave(1)
    return a.code()


def _release(maps: Maps) -> Code:
    """A socket is closed: its connection is no longer open."""
    a = ProgramBuilder()
    a.move(R2, R1)
    _peer(a, maps, create=False)
    a.when(R0, "==", 0, "done")
    a.move(R9, R0)
    _count_end(a, maps, "done", closed=True)
    a.label("done")
    a.leave(1)
    return a.code()


def _socket_operations(maps: Maps) -> Code:
    """Of TCP: which connects failed, which connections are half closed, and the bytes of those that ended."""
    a = ProgramBuilder()
    a.move(R6, R1)
    a.load(4, R1, R6, _OPERATION)
    a.when(R1, "==", _CONNECTING, "connecting")
    a.when(R1, "==", _STATE_CHANGED, "changed")
    a.leave(1)
    a.label("connecting")
    _peer_of_operation(a, maps)
    # Only sockets that the shortcut has sent somewhere are watched any further.
    a.move(R1, R6)
    a.move(R2, _TELL_STATES)
    a.call(Helper.SOCKET_OPERATION_FLAGS)
    a.leave(1)
    a.label("changed")
    a.load(4, R1, R6, _NEW_STATE)
    for state in (_FIN_WAIT1, _CLOSE_WAIT):
        a.when(R1, "==", state, "half closed")
    a.when(R1, "!=", _CLOSE, "done")
    _peer_of_operation(a, maps)
    a.move(R9, R0)
    a.load(4, R1, R6, _OLD_STATE)
    for state in (_ESTABLISHED, _FIN_WAIT1, _CLOSE_WAIT):
        a.when(R1, "==", state, "reset")
    a.when(R1, "!=", _SYN_SENT, "was open")
    _count_failure(a, maps)
    _count_end(a, maps, "done", closed=False)
    a.jump("done")
    a.label("half closed")
    _peer_of_operation(a, maps)
    a.move(R9, R0)
    _count_half_close(a, maps)
    a.jump("done")
    a.label("reset")
    # Closing the socket may have counted it as over before.
    _counts_of_peer(a, maps, "done")
    a.move(R1, 1)
    a.add_atomically(R0, CountField.RESETS, R1)
    a.label("was open")
    _count_bytes(a, maps)
    _count_end(a, maps, "done", closed=True)
    a.label("done")
    a.leave(1)
    return a.code()


def _find(a: ProgramBuilder, maps: Maps, is_ipv6: bool) -> None:
    a.move(R6, R1)
    build_key(a, is_ipv6)
    find_frontend(a, maps)
    find_pool(a, maps)


def _note_peer(a: ProgramBuilder, maps: Maps) -> None:
    """Keep with the socket where it wanted to go and where it goes. A former choice of the socket is open no longer."""
    _peer_of_context(a, maps, create=True)
    # Without memory for it, the connection is made all the same; it is counted nowhere.
    a.when(R0, "==", 0, _WRITE)
    a.move(R9, R0)
    _count_end(a, maps, "first choice", closed=True)
    a.label("first choice")
    a.copy(18, (R9, PeerField.FRONTEND_ADDRESS), (FP, Stack.FRONTEND))
    a.copy(1, (R9, PeerField.FAMILY), (FP, Stack.FRONTEND + 19))
    a.copy(4, (R9, PeerField.ENDPOINT), (FP, Stack.ENDPOINT))
    a.copy(4, (R9, PeerField.POOL), (FP, Stack.POOL))
    a.copy(18, (R9, PeerField.ENDPOINT_ADDRESS), (R8, EndpointField.ADDRESS))
    _count_choice(a, maps, _WRITE)
    a.copy(4, (R9, PeerField.GENERATION), (R0, CountField.GENERATION), by=R2)
    udp = a.name("udp")
    a.load(1, R2, FP, Stack.FRONTEND + 18)
    a.when(R2, "==", socket.IPPROTO_UDP, udp)
    a.store(1, R9, PeerField.COUNTED, Counted.OPEN)
    a.add_atomically(R0, CountField.OPEN, R1)
    a.jump(_WRITE)
    a.label(udp)
    a.store(1, R9, PeerField.COUNTED, Counted.INACTIVE)
    a.add_atomically(R0, CountField.INACTIVE, R1)


def _count_choice(a: ProgramBuilder, maps: Maps, otherwise: str) -> None:
    """Leaves R0 at the endpoint's counts and R1 = 1. Go to `otherwise` where there are none."""
    a.move(R1, 1)
    a.add_atomically(R7, PoolField.CHOSEN, R1)
    look_up(a, maps.counts.descriptor, Stack.ENDPOINT)
    a.when(R0, "==", 0, otherwise)
    a.move(R1, 1)
    a.add_atomically(R0, CountField.OPENED, R1)


def _count_end(a: ProgramBuilder, maps: Maps, otherwise: str, closed: bool) -> None:
    """With R9 at what is kept with a socket: it is open no longer. Go to `otherwise` where it was not counted."""
    inactive = a.name("inactive")
    a.load(1, R1, R9, PeerField.COUNTED)
    a.when(R1, "==", Counted.NOT, otherwise)
    _counts_of_peer(a, maps, otherwise)
    a.load(1, R2, R9, PeerField.COUNTED)
    a.store(1, R9, PeerField.COUNTED, Counted.NOT)
    a.move(R1, 1)
    a.when(R2, "==", Counted.INACTIVE, inactive)
    if closed:
        a.add_atomically(R0, CountField.INACTIVE, R1)
    a.move(R2, -1)
    a.add_atomically(R0, CountField.OPEN, R2)
    a.label(inactive)
    if closed:
        # Last, so that nobody sees more that are over than are inactive.
        a.add_atomically(R0, CountField.CLOSED, R1)


def _count_half_close(a: ProgramBuilder, maps: Maps) -> None:
    """With R9 at what is kept with a socket: one side has ended. Go to "done" where it is not counted as open."""
    a.load(1, R1, R9, PeerField.COUNTED)
    a.when(R1, "!=", Counted.OPEN, "done")
    a.store(1, R9, PeerField.COUNTED, Counted.INACTIVE)
    _counts_of_peer(a, maps, "done")
    a.move(R1, 1)
    a.add_atomically(R0, CountField.INACTIVE, R1)
    a.move(R1, -1)
    a.add_atomically(R0, CountField.OPEN, R1)


def _count_failure(a: ProgramBuilder, maps: Maps) -> None:
    """The endpoint took no connection: count it, and note the endpoint for whoever takes it out of the choice."""
    _counts_of_peer(a, maps, "done")
    a.move(R1, 1)
    a.add_atomically(R0, CountField.FAILED, R1)
    a.store(4, FP, Stack.ZERO, 0)
    look_up(a, maps.config.descriptor, Stack.ZERO)
    a.when(R0, "==", 0, "done")
    a.move(R1, 1)
    a.add_atomically(R0, ConfigField.FAILURES, R1, fetch=True)
    a.compute(R1, "&", FAILURE_RING - 1)
    a.store(4, FP, Stack.SLOT, R1)
    look_up(a, maps.failures.descriptor, Stack.SLOT)
    a.when(R0, "==", 0, "done")
    a.load(4, R1, R9, PeerField.ENDPOINT)
    a.load(4, R2, R9, PeerField.GENERATION)
    a.compute(R2, "<<", 32)
    a.compute(R1, "|", R2)
    a.store(8, R0, 0, R1)


def _count_bytes(a: ProgramBuilder, maps: Maps) -> None:
    """Of a TCP socket that ends: what came from the endpoint and what the endpoint acknowledged."""
    _counts_of_peer(a, maps, "done")
    a.load(8, R1, R6, _RECEIVED)
    a.add_atomically(R0, CountField.TO_CLIENT, R1)
    a.load(8, R1, R6, _ACKNOWLEDGED)
    a.add_atomically(R0, CountField.FROM_CLIENT, R1)


def _counts_of_peer(a: ProgramBuilder, maps: Maps, none: str) -> None:
    """R0 = the counts of the endpoint of the socket at R9. Go to `none` where its number is another's by now."""
    a.copy(4, (FP, Stack.SLOT), (R9, PeerField.ENDPOINT))
    look_up(a, maps.counts.descriptor, Stack.SLOT)
    a.when(R0, "==", 0, none)
    a.load(4, R1, R0, CountField.GENERATION)
    a.load(4, R2, R9, PeerField.GENERATION)
    a.when(R1, "!=", R2, none)


def _known_flow(a: ProgramBuilder, maps: Maps, timeout: int, new: str) -> None:
    """R8 = the endpoint that this socket's last datagram to the frontend went to, while it is there. NOW is noted."""
    a.move(R1, R6)
    a.call(Helper.SOCKET_COOKIE)
    a.store(8, FP, Stack.FLOW, R0)
    a.copy(20, (FP, Stack.FLOW + 8), (FP, Stack.FRONTEND))
    a.store(4, FP, Stack.FLOW + 28, 0)
    a.call(Helper.MONOTONIC_NANOSECONDS)
    a.store(8, FP, Stack.NOW, R0)
    look_up(a, maps.flows.descriptor, Stack.FLOW)
    a.when(R0, "==", 0, new)
    a.load(8, R1, FP, Stack.NOW)
    a.load(8, R2, R0, 8)
    a.move(R3, R1)
    a.compute(R3, "-", R2)
    if timeout:
        a.constant(R4, timeout)
        a.when(R3, ">", R4, new)
    a.store(8, R0, 8, R1)
    a.copy(4, (FP, Stack.ENDPOINT), (R0, 0))
    a.copy(4, (FP, Stack.GENERATION), (R0, 4))
    find_endpoint(a, maps, new)
    check_generation(a, new)


def _note_flow(a: ProgramBuilder, maps: Maps) -> None:
    """Remember where this socket's datagrams go, and what its answers are to look like."""
    a.copy(4, (FP, Stack.FLOW_VALUE), (FP, Stack.ENDPOINT))
    a.copy(4, (FP, Stack.FLOW_VALUE + 4), (FP, Stack.GENERATION))
    a.copy(8, (FP, Stack.FLOW_VALUE + 8), (FP, Stack.NOW))
    update(a, maps.flows.descriptor, Stack.FLOW, Stack.FLOW_VALUE)
    a.copy(8, (FP, Stack.REVERSE), (FP, Stack.FLOW))
    a.copy(16, (FP, Stack.REVERSE + 8), (R8, EndpointField.ADDRESS))
    a.load(2, R1, R8, EndpointField.PORT)
    a.store(8, FP, Stack.REVERSE + 24, R1)
    a.copy(16, (FP, Stack.REVERSE_VALUE), (FP, Stack.FRONTEND))
    a.load(2, R1, FP, Stack.FRONTEND + 16)
    a.store(4, FP, Stack.REVERSE_VALUE + 16, R1)
    update(a, maps.reverse.descriptor, Stack.REVERSE, Stack.REVERSE_VALUE)


def _reverse_key(a: ProgramBuilder) -> None:
    """The key of the address that a datagram came from, for this socket; it lies where a frontend's key is built."""
    a.move(R1, R6)
    a.call(Helper.SOCKET_COOKIE)
    a.store(8, FP, Stack.REVERSE, R0)
    a.copy(16, (FP, Stack.REVERSE + 8), (FP, Stack.FRONTEND))
    a.load(2, R1, FP, Stack.FRONTEND + 16)
    a.store(8, FP, Stack.REVERSE + 24, R1)


def _peer_of_context(a: ProgramBuilder, maps: Maps, create: bool) -> None:
    a.load(8, R2, R6, SOCKET)
    _peer(a, maps, create)


def _peer_of_operation(a: ProgramBuilder, maps: Maps) -> None:
    """R0 = what is kept with the socket of struct bpf_sock_ops, or go to "done"."""
    a.load(8, R2, R6, _OPS_SOCKET)
    a.when(R2, "==", 0, "done")
    _peer(a, maps, create=False)
    a.when(R0, "==", 0, "done")


def _peer(a: ProgramBuilder, maps: Maps, create: bool) -> None:
    """R0 = what is kept with the socket at R2, or 0."""
    a.map(R1, maps.peers.descriptor)
    a.move(R3, 0)
    a.move(R4, _CREATE if create else 0)
    a.call(Helper.SOCKET_STORAGE)
