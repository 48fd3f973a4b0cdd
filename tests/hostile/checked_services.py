"""A TCP and a UDP Service over backends that echo: all that goes through them is checked, and is in the accounts.

Invariant: every hostile machine carries the same streams and datagrams; a test only says what is wrong with its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType

from tests.hostile.accounts import Accounts
from tests.hostile.checked_datagrams import NONE_LOST, checked_datagrams
from tests.hostile.checked_streams import checked_echo
from tests.system.harness.backends import plain_echo_backend, udp_backend
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.passage import BACKEND_PORT
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import Svcproxy

STREAMS, STREAM_BYTES = 4, 40_000
CLIENTS, QUESTIONS = 4, 5
SETTINGS: Mapping[str, object] = MappingProxyType({"udpIdleTimeout": "1s"})
"""For the proxy: flows go soon, and their descriptors with them."""


class CheckedServices:
    """`manifests` are the Services `streams` and `datagrams`, with node ports `stream_port` and `datagram_port`."""

    def __init__(self, places: Places, backend: str) -> None:
        self.backend = backend
        self.stream_port, self.datagram_port = places.node_port(), places.node_port()
        self.manifests: list[Manifest] = [
            *_node_port("streams", "TCP", self.stream_port, backend),
            *_node_port("datagrams", "UDP", self.datagram_port, backend),
        ]
        self._carried = self._connections = 0
        self._accounts: Accounts | None = None

    @contextmanager
    def backends(self) -> Iterator[None]:
        """The backends listen while the block lasts."""
        with ExitStack() as stack:
            stack.enter_context(plain_echo_backend("a", self.backend))
            stack.enter_context(udp_backend("a", self.backend))
            yield

    def begin(self, proxy: Svcproxy) -> None:
        """Look at what the proxy holds now, before anybody uses it."""
        self._accounts = Accounts(proxy, service="streams")

    def use(self, address: str, datagrams_at: str = "") -> None:
        """Streams arrive whole and in order, and every datagram is answered, through the ports of `address`; those of
        datagrams may have another."""
        self._carried += checked_echo(address, self.stream_port, STREAMS, STREAM_BYTES)
        self._connections += STREAMS
        answered = checked_datagrams(
            datagrams_at or address, self.datagram_port, CLIENTS, QUESTIONS, patience=NONE_LOST
        )
        assert answered == CLIENTS * QUESTIONS

    def settle(self) -> None:
        """Every connection and byte was counted, and the workers hold what they held at the beginning."""
        assert self._accounts is not None
        self._accounts.settle(self._connections, self._carried, self._carried)


def _node_port(name: str, protocol: str, number: int, backend: str) -> list[Manifest]:
    return [
        service(name, port(80, protocol=protocol, nodePort=number), type="NodePort"),
        endpoint_slice(name, [backend], {"port": BACKEND_PORT, "protocol": protocol}),
    ]
