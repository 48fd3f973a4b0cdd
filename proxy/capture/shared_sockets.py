"""The few sockets behind all frontends where a program of type sk_lookup finds them.

Invariants: each is bound to a port of loopback that means nothing, and what connects to that very port is refused; the
sockets of a group listen in the workers' order, because that order is what steering counts in.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from proxy.bpf.socket_lookup import Entry, SocketLookup
from proxy.bpf.verdict import Verdict
from proxy.capture.listening_socket import open_listening_socket
from proxy.capture.source_filter import attach, drop_everything
from proxy.capture.steering import steer
from proxy.plan.frontend import FrontendKey

_HERE = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
# include/uapi/linux/in.h and in6.h; the socket module does not have them.
_IP_RECVORIGDSTADDR, _IPV6_RECVORIGDSTADDR = 20, 74
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class SharedGroup(NamedTuple):
    """One socket a worker, in their order, bound to the address and port of `key`."""

    key: FrontendKey
    verdict: Verdict
    sockets: tuple[socket.socket, ...]


def open_shared_groups(stack: contextlib.ExitStack, protocol: str, width: int) -> Iterator[SharedGroup]:
    """Groups for so many workers, closed with `stack`: of each family that the machine has one that spreads, one that
    ignores everybody, and, where there are several workers, one that is steered. Raises OSError."""
    for family, address in _HERE.items():
        try:
            spread = _open_group(stack, protocol, address, width)
        except OSError as error:
            if family == socket.AF_INET6 and error.errno in _NO_SUCH_FAMILY:
                continue
            raise
        yield SharedGroup(_key(protocol, spread), Verdict.SPREAD, spread)
        if width > 1:
            steered = _open_group(stack, protocol, address, width)
            steer(steered[0], width)
            yield SharedGroup(_key(protocol, steered), Verdict.STEERED, steered)
        deaf = _open_group(stack, protocol, address, 1)
        attach(deaf[0], drop_everything())
        yield SharedGroup(_key(protocol, deaf), Verdict.IGNORED, deaf)


def give_to(lookup: SocketLookup, groups: Sequence[SharedGroup]) -> None:
    """Let the program find the sockets, and refuse whoever asks for their own ports. Raises BpfError."""
    for group in groups:
        lookup.assign(group.key.protocol, group.verdict, group.sockets[0])
    lookup.put(Entry(*group.key, Verdict.REFUSED) for group in groups)


def _open_group(stack: contextlib.ExitStack, protocol: str, address: str, width: int) -> tuple[socket.socket, ...]:
    sockets: list[socket.socket] = []
    for _ in range(width):
        port = sockets[0].getsockname()[1] if sockets else 0
        sock = stack.enter_context(open_listening_socket(FrontendKey(protocol, address, port), shared=True))
        if protocol == "UDP":
            _request_asked(sock)
        sockets.append(sock)
    return tuple(sockets)


def _request_asked(sock: socket.socket) -> None:
    """Let each datagram say which address and port it was sent to."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVORIGDSTADDR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVORIGDSTADDR, 1)


def _key(protocol: str, sockets: Sequence[socket.socket]) -> FrontendKey:
    address, port = sockets[0].getsockname()[:2]
    return FrontendKey(protocol, address, port)
