"""Answers: what the index says to a name and a type, before any message is written.

Invariant: a pure function of the index; a name that exists without the type asked for is NOERROR with the zone's SOA
(NODATA), one that does not exist is NXDOMAIN with it (RFC 2308), as the Kubernetes DNS specification says.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

import msgspec

from proxy.dns.name_index import NameIndex
from proxy.dns.record_set import EMPTY, RecordSet, Target
from proxy.dns.record_types import AAAA, ANY, CNAME, NOERROR, NS, NXDOMAIN, PTR, SERVFAIL, SOA, SRV, TXT, A
from proxy.dns.wire_name import WireName, first_label, parent_of

_LONGEST_CHAIN = 8
_SRV_NUMBERS = struct.Struct("!HHH")
_SOA_NUMBERS = struct.Struct("!IIIII")
_SERIAL, _REFRESH, _RETRY, _EXPIRE = 1, 7200, 1800, 86400
"""Of the SOA record. There are no zone transfers, so nobody compares serials."""
_ADDRESS_LABEL = re.compile(r"[0-9a-f-]+")
_ANY_ORDER = (A, AAAA, CNAME, PTR, TXT, SRV)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of class IN; names in `data` are not compressed. `host`: a name that ends `data`, to point at."""

    owner: WireName
    record_type: int
    ttl: int
    data: bytes
    host: WireName = b""


class Answer(msgspec.Struct):
    """The sections of a response. `continues` is a name outside of our zones that the rest of the answer belongs to.

    While the index has `node` for `watched`, and for each name in `also` what stands there, the answer is what it would
    be now; None is the absence of such a name.
    """

    rcode: int = NOERROR
    answers: list[Record] = msgspec.field(default_factory=list)
    authority: list[Record] = msgspec.field(default_factory=list)
    additional: list[Record] = msgspec.field(default_factory=list)
    continues: WireName = b""
    watched: WireName = b""
    node: RecordSet | None = None
    also: tuple[tuple[WireName, RecordSet | None], ...] = ()
    authoritative: bool = True
    authentic: bool = False


def answer(index: NameIndex, name: WireName, record_type: int, ttl: int) -> Answer | None:
    """What we say to the question, or None for a name that is not ours to speak of."""
    if index.zone_of(name) is None and name not in index.nodes:
        return None
    found = Answer(watched=name, node=index.nodes.get(name))
    for _ in range(_LONGEST_CHAIN):
        node = index.nodes.get(name)
        if node is None or not node.alias or record_type in (CNAME, ANY):
            _finish(found, index, name, node, record_type, ttl)
            return found
        found.answers.append(Record(name, CNAME, ttl, node.alias + b"\0", node.alias))
        name = node.alias
        if any(record.owner == name for record in found.answers):
            break
        _watch(found, index, name)
        if index.zone_of(name) is None and name not in index.nodes:
            found.continues = name
            return found
    # The ExternalNames lead round in a circle, or through more names than resolvers follow.
    found.rcode = SERVFAIL
    return found


def _finish(
    found: Answer, index: NameIndex, name: WireName, node: RecordSet | None, record_type: int, ttl: int
) -> None:
    """Put the end of the chain into the answer."""
    apex = index.zone_of(name) or name
    if node is None:
        node = _pod(found, index, name)
    if node is not None:
        records = list(_records(index, name, node, record_type, ttl))
        found.answers += records
        found.additional += _additional(found, index, node, records, ttl)
        if records:
            return
    else:
        found.rcode = NXDOMAIN
    found.authority.append(_start_of_authority(index, apex, ttl))


def _pod(found: Answer, index: NameIndex, name: WireName) -> RecordSet | None:
    """`10-244-1-7.NS.pod.ZONE`, in a namespace that is known: the address that it spells (2.6, deprecated)."""
    namespace = parent_of(name)
    if parent_of(namespace) != index.pods_zone:
        return None
    _watch(found, index, namespace)
    label = first_label(name)
    if namespace not in index.nodes or not _ADDRESS_LABEL.fullmatch(label):
        return None
    dotted = label.replace("-", ".") if label.count("-") == 3 and "--" not in label else label.replace("-", ":")
    try:
        return RecordSet(addresses=(str(ip_address(dotted)),))
    except ValueError:
        return None


def _watch(found: Answer, index: NameIndex, name: WireName) -> None:
    """Let the answer depend on one more name."""
    found.also = (*found.also, (name, index.nodes.get(name)))


def _records(index: NameIndex, name: WireName, node: RecordSet, record_type: int, ttl: int) -> Iterator[Record]:
    if record_type == ANY:
        # One of the record sets that there are is enough (RFC 8482), and no gift to those who amplify.
        record_type = next((each for each in _ANY_ORDER if any(_data(node, each))), SOA)
    if name in index.zones and record_type == SOA:
        yield _start_of_authority(index, name, ttl)
    elif name in index.zones and record_type == NS:
        yield Record(name, NS, ttl, index.name_server + b"\0", index.name_server)
    for data, host in _data(node, record_type):
        yield Record(name, record_type, ttl, data, host)


def _data(node: RecordSet, record_type: int) -> Iterator[tuple[bytes, WireName]]:
    """The data of the node's records of one type, each with the name that ends it."""
    if record_type in (A, AAAA):
        for address in node.addresses:
            if (":" in address) == (record_type == AAAA):
                yield ip_address(address).packed, b""
    elif record_type == SRV:
        for target in node.targets:
            yield _SRV_NUMBERS.pack(0, target.weight, target.port) + target.host + b"\0", target.host
    elif record_type == PTR:
        for pointer in node.pointers:
            yield pointer + b"\0", pointer
    elif record_type == CNAME and node.alias:
        yield node.alias + b"\0", node.alias
    elif record_type == TXT and node.text:
        yield bytes((len(node.text),)) + node.text.encode(), b""


def _additional(
    found: Answer, index: NameIndex, node: RecordSet, records: Iterable[Record], ttl: int
) -> Iterator[Record]:
    """The addresses that whoever got these records will ask for next."""
    types = {record.record_type for record in records}
    hosts: list[tuple[WireName, tuple[str, ...]]] = []
    if SRV in types:
        hosts = list(_hosts(node.targets))
    elif NS in types:
        _watch(found, index, index.name_server)
        hosts = [(index.name_server, index.nodes.get(index.name_server, EMPTY).addresses)]
    for host, addresses in hosts:
        for address in sorted(addresses, key=lambda each: ":" in each):
            yield Record(host, AAAA if ":" in address else A, ttl, ip_address(address).packed)


def _hosts(targets: Iterable[Target]) -> Iterator[tuple[WireName, tuple[str, ...]]]:
    yield from {target.host: target.addresses for target in targets}.items()


def _start_of_authority(index: NameIndex, apex: WireName, ttl: int) -> Record:
    """Its last number is how long the absence of a name may be remembered (RFC 2308, 4)."""
    numbers = _SOA_NUMBERS.pack(_SERIAL, _REFRESH, _RETRY, _EXPIRE, ttl)
    return Record(apex, SOA, ttl, index.name_server + b"\0" + index.mailbox + b"\0" + numbers)
