"""Which ports of this network namespace somebody uses: one question to the kernel for all of them.

Speaks sock_diag(7), which no library of Python's standard has: of TCP the sockets that listen, of UDP all that are
bound. Invariant: a port that is not named is nobody's; one that is may still be free at the address that is wanted.
"""

import errno
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DONE, _ERROR = 3, 2
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2; nothing of its sockid is asked for.
_ANSWERED_PORT = struct.Struct("!4xH")  # struct inet_diag_msg, up to idiag_sport.
_CHUNK = 256 * 1024
_LISTEN, _ALL = 1 << 10, 0xFFFFFFFF
_KINDS = {"TCP": (socket.IPPROTO_TCP, _LISTEN), "UDP": (socket.IPPROTO_UDP, _ALL)}


def ports_in_use() -> Mapping[str, frozenset[int]]:
    """The ports by "TCP" or "UDP", of both families. Raises OSError where the kernel cannot say."""
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)) as asking:
        return {
            name: frozenset(
                port
                for family in (socket.AF_INET, socket.AF_INET6)
                for port in _ports(asking, _QUESTION.pack(family, protocol, 0, states))
            )
            for name, (protocol, states) in _KINDS.items()
        }


def _ports(asking: socket.socket, question: bytes) -> Iterator[int]:
    """Every port of the answer, as often as there are sockets."""
    asking.send(_HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 0, 0) + question)
    while True:
        data = asking.recv(_CHUNK)
        place = 0
        while place < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, place)
            if kind in (_DONE, _ERROR):
                (status,) = struct.unpack_from("=i", data, place + _HEADER.size)
                if kind == _ERROR or status < 0:
                    raise OSError(-status or errno.EIO, "the kernel does not say which ports are in use")
                return
            yield _ANSWERED_PORT.unpack_from(data, place + _HEADER.size)[0]
            place += length + 3 & ~3
