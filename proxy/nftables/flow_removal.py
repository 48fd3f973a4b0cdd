"""Makes the kernel forget UDP flows to endpoints that have left, whose clients would else talk to nobody.

The kernel translates a flow as its first packet was, for as long as the client goes on. Invariant: only flows from a
frontend of ours to an endpoint that this frontend has no more are forgotten (net/netfilter/nf_conntrack_netlink.c).
"""

import errno
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from proxy.nftables.attributes import attribute, nested, read_attributes
from proxy.nftables.family import PROTOCOLS, Family, slot_key
from proxy.nftables.holdings import Change
from proxy.nftables.messages import message
from proxy.nftables.netfilter_socket import NetfilterSocket, RefusedError
from proxy.nftables.shares import Entry, Value

_SUBSYSTEM = 1 << 8  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = 1, 2
_ACKNOWLEDGE = 4
_ORIGINAL, _REPLY, _FILTER = 1, 2, 25
_SOURCE, _PROTOCOL, _SOURCE_PORT = 1 << 0, 1 << 3, 1 << 4
_UDP = PROTOCOLS["UDP"]


class Flows(NamedTuple):
    """Every flow from a frontend to an endpoint. `address` is empty for a node port, whatever address was asked."""

    address: bytes
    port: bytes
    endpoint: bytes
    endpoint_port: bytes


def departed(family: Family, change: Change, contents: Mapping[Entry, Value]) -> tuple[Flows, ...]:
    """The UDP flows whose endpoint the change took from their frontend. Pure."""
    gone = {
        (name, key[:-4], value.data): None
        for (name, key), value in change.removed.items()
        if name.endswith("endpoints") and key[-12] == _UDP
    }
    return tuple(
        Flows(key[:-8], key[-4:-2], data[: family.length], data[family.length : family.length + 2])
        for name, key, data in gone
        if data not in set(_endpoints(name, key, contents))
    )


def forget(socket: NetfilterSocket, family: Family, flows: Iterable[Flows]) -> None:
    """Make the kernel forget them; that there are none is fine. Raises RefusedError."""
    for each in flows:
        for entry in list(socket.dump(_GET, family.number, _wanted(family, each), _SUBSYSTEM)):
            found = read_attributes(entry)
            if _is_of(family, each, found):
                _delete(socket, family, found[_ORIGINAL])


def _endpoints(name: str, key: bytes, contents: Mapping[Entry, Value]) -> Iterator[bytes]:
    """What a frontend has in its slots now."""
    slot = 0
    while (value := contents.get((name, key + slot_key(slot)))) is not None:
        yield value.data
        slot += 1


def _wanted(family: Family, flows: Flows) -> bytes:
    """What the dump is asked for; Linux before 5.9 gives everything."""
    protocol = nested(2, attribute(1, bytes((_UDP,))), attribute(2, flows.endpoint_port))
    address, flags = b"", _PROTOCOL | _SOURCE_PORT
    if family.length == 4:  # Of IPv6 addresses the kernel's filter leaves out those that are equal.
        address, flags = nested(1, attribute(1, flows.endpoint)), flags | _SOURCE
    wanted = nested(_FILTER, attribute(1, bytes(4)), attribute(2, struct.pack("=I", flags)))
    return nested(_REPLY, address, protocol) + wanted


def _is_of(family: Family, flows: Flows, found: Mapping[int, bytes]) -> bool:
    source, destination = (1, 2) if family.length == 4 else (3, 4)
    asked, answering = read_attributes(found[_ORIGINAL]), read_attributes(found[_REPLY])
    asked_protocol, answering_protocol = read_attributes(asked[2]), read_attributes(answering[2])
    return (
        asked_protocol[1] == bytes((_UDP,))
        and asked_protocol[3] == flows.port
        and (not flows.address or read_attributes(asked[1])[destination] == flows.address)
        and read_attributes(answering[1])[source] == flows.endpoint
        and answering_protocol[2] == flows.endpoint_port
    )


def _delete(socket: NetfilterSocket, family: Family, original: bytes) -> None:
    try:
        socket.run(message(_SUBSYSTEM | _DELETE, _ACKNOWLEDGE, family.number, nested(_ORIGINAL, original)))
    except RefusedError as error:
        if error.errno != errno.ENOENT:  # It ended by itself.
            raise
