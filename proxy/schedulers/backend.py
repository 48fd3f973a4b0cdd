"""Backend: one destination as a scheduler sees it, with its live counters.

Invariant: `active` and `inactive` are written by the data plane alone and count as IPVS counts
(net/netfilter/ipvs/ip_vs_proto_tcp.c, ip_vs_proto_udp.c). Active is a TCP connection from the choice until the first
end of stream or reset on either side. Inactive is one that is half closed, one that is over, for 120 s after a FIN and
10 s after a reset, and every live UDP flow.
"""


class Backend:
    """One destination. Compared by identity; (address, port) is unique within a pool."""

    __slots__ = ("active", "address", "inactive", "port", "weight")

    def __init__(self, address: str, port: int, weight: int = 1) -> None:
        self.address = address
        self.port = port
        self.weight = weight
        self.active = 0
        self.inactive = 0

    def __repr__(self) -> str:
        return f"<{self.address}:{self.port} weight {self.weight}, {self.active} active, {self.inactive} inactive>"
