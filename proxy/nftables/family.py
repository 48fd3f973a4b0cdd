"""What differs between the tables of IPv4 and IPv6: numbers, lengths, and which register holds what. Pure.

Invariant: the registers of frontend and slot lie side by side, so that what found the frontend also finds the endpoint.
"""

import socket
import struct
from types import MappingProxyType

import msgspec

PROTOCOLS = MappingProxyType({"TCP": 6, "UDP": 17, "SCTP": 132})
WILDCARDS = frozenset(("0.0.0.0", "::"))
_FIRST_REGISTER = 8  # NFT_REG32_00


class Family(msgspec.Struct, frozen=True):
    """`number` is NFPROTO_*, `length` that of an address in bytes; `source` and `destination` are offsets in the IP
    header; `address_type` is nft's number of the data type."""

    name: str
    number: int
    length: int
    source: int
    destination: int
    address_type: int

    @property
    def words(self) -> int:
        """Registers that an address fills."""
        return self.length // 4

    @property
    def client(self) -> int:
        """The first register of the client's address."""
        return _FIRST_REGISTER

    @property
    def frontend(self) -> int:
        """The first register of frontend address, protocol and port."""
        return _FIRST_REGISTER + self.words

    @property
    def value(self) -> int:
        """The register of the slot, and then the first of the endpoint's address and port."""
        return self.frontend + self.words + 2

    def packed(self, address: str) -> bytes:
        """Raises OSError for an address of the other family."""
        return socket.inet_pton(socket.AF_INET6 if self.length == 16 else socket.AF_INET, address)

    def frontend_key(self, protocol: str, address: str, port: int) -> bytes:
        """The key of `services`: address, protocol and port, each padded to four bytes. A wildcard is left out, which
        makes it the key of `node_services`."""
        place = b"" if address in WILDCARDS else self.packed(address)
        return place + bytes((PROTOCOLS[protocol], 0, 0, 0)) + _port(port)

    def endpoint(self, address: str, port: int) -> bytes:
        """The data of `endpoints`."""
        return self.packed(address) + _port(port)


IPV4 = Family("ip", 2, 4, 12, 16, 7)
IPV6 = Family("ip6", 10, 16, 8, 24, 8)
FAMILIES = (IPV4, IPV6)


def family_of(address: str) -> Family:
    """The family of an address."""
    return IPV6 if ":" in address else IPV4


def slot_key(slot: int) -> bytes:
    """A slot as `numgen` and `jhash` give it: in the byte order of this machine."""
    return struct.pack("=I", slot)


def _port(port: int) -> bytes:
    return struct.pack(">HH", port, 0)
