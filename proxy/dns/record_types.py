"""Record types by number (IANA, DNS parameters), and the names that metrics and tables give them.

Invariant: `type_name` gives one of a few names, whatever number a stranger sends.
"""

from collections.abc import Mapping
from types import MappingProxyType

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, TSIG, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 250, 255
META_TYPES = frozenset((0, OPT, 249, TSIG, 251, 252, 253, 254))
"""OPT, TKEY, TSIG, IXFR, AXFR, MAILB and MAILA: no name has them."""

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH, BADVERS = 0, 1, 2, 3, 4, 5, 9, 16

_TYPE_NAMES: Mapping[int, str] = MappingProxyType(
    {
        A: "A",
        NS: "NS",
        CNAME: "CNAME",
        SOA: "SOA",
        PTR: "PTR",
        MX: "MX",
        TXT: "TXT",
        AAAA: "AAAA",
        SRV: "SRV",
        35: "NAPTR",
        43: "DS",
        48: "DNSKEY",
        64: "SVCB",
        65: "HTTPS",
        ANY: "ANY",
    }
)
_RCODE_NAMES: Mapping[int, str] = MappingProxyType(
    {
        NOERROR: "NOERROR",
        FORMERR: "FORMERR",
        SERVFAIL: "SERVFAIL",
        NXDOMAIN: "NXDOMAIN",
        NOTIMP: "NOTIMP",
        REFUSED: "REFUSED",
        NOTAUTH: "NOTAUTH",
        BADVERS: "BADVERS",
    }
)


def type_name(number: int) -> str:
    """Such as "A"; "other" for types that nobody asks a cluster for."""
    return _TYPE_NAMES.get(number, "other")


def rcode_name(number: int) -> str:
    """Such as "NXDOMAIN"; "other" for what only an upstream can say."""
    return _RCODE_NAMES.get(number, "other")
