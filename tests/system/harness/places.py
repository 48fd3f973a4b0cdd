"""Addresses and ports for one test that no other test has, even in another run beside this one.

Invariant: every address lies in 127/8, outside the program's own default ranges; every node port was free when given.
"""

from collections.abc import Iterator

from tests.lane import this_lane


class Places:
    """The addresses and node ports of one test.

    `service_range` is a CIDR for ClusterIPs, `node_port_range` a text like "15000-15023".
    """

    def __init__(self) -> None:
        self._network = this_lane().network()
        self.service_range = f"{self._network}.128/25"
        self._addresses: Iterator[int] = iter(range(1, 128))
        node_ports = this_lane().node_ports()
        self.node_port_range = f"{node_ports[0]}-{node_ports[-1]}"
        self._node_ports: Iterator[int] = iter(node_ports)

    def address(self) -> str:
        """An address for a backend or a status page."""
        return f"{self._network}.{next(self._addresses)}"

    def cluster_ip(self) -> str:
        """An address of the service range's lower band, which is not given out by itself."""
        return f"{self._network}.{128 + next(self._addresses) % 15 + 1}"

    def node_port(self) -> int:
        """A node port that nothing listens on."""
        return next(self._node_ports)
