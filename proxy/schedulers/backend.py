"""Backend: one destination as a scheduler sees it, with its live counters.

Imports nothing of ours. Invariant: `active` and `inactive` are written by the data plane alone (active: from the
choice until the first end of stream or reset on either side, and every live UDP flow; inactive: half-closed, until
both sides closed), never by a scheduler.
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
