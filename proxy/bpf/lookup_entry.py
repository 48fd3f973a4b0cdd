"""The entries of the maps that the program reads, as bytes.

Pure. Invariant: the layouts here are the ones that `lookup_program` builds and reads; a wildcard address ("0.0.0.0",
"::") is the key whose address is all zeros.
"""

import ipaddress
import socket
import struct

from proxy.bpf.verdict import Verdict, slot_of

KEY_SIZE = 20
VALUE_SIZE = 8
RANGE_KEY_SIZE = 24
RANGE_VALUE_SIZE = 1
RANGE_VALUE = b"\x01"
DROPS_SIZE = 8

_PROTOCOLS = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP}
_NUMBER_BITS = 32


def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def entry_key(protocol: str, address: str, port: int) -> bytes:
    """Sixteen bytes of address (an IPv4 one in the first four), then the port in the machine's order, protocol and
    family. `protocol` is "TCP" or "UDP"."""
    family = family_of(address)
    packed = socket.inet_pton(family, address)
    return struct.pack("<16sHBB", packed, port, _PROTOCOLS[protocol], family)


def entry_value(protocol: str, address: str, verdict: Verdict, ranges: int = 0) -> bytes:
    """The socket slot, and the number of the source ranges that are let in, 0 for everybody."""
    return struct.pack("<II", slot_of(protocol, family_of(address), verdict), ranges)


def range_key(ranges: int, cidr: str) -> bytes:
    """Length of the prefix in bits, then what it is a prefix of: the number of the ranges and a client's address.

    Bits behind the CIDR's own prefix are ignored. Raises ValueError for text that is no CIDR.
    """
    network = ipaddress.ip_network(cidr.strip(), strict=False)
    # The number is part of the prefix, which is compared from its first byte on.
    return struct.pack("<II16s", _NUMBER_BITS + network.prefixlen, ranges, network.network_address.packed)
