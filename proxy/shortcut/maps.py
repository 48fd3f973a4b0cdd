"""The maps of the shortcut, made together and let go of together.

Invariant: a failure while they are made leaves none behind.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from proxy.bpf.bpf_map import BpfMap, MapKind
from proxy.bpf.cgroup_link import open_pinned, pin
from proxy.bpf.mapped_array import MappedArray
from proxy.bpf.socket_storage import SocketStorage
from proxy.shortcut import layout

_KEPT = ("svc_peers", "svc_reverse")


class Capacities(NamedTuple):
    """How many of each there may be. The arrays take their memory at once: 24, 88, 8 and 72 bytes for an endpoint, its
    counts, a slot and a pool; a remembered client or flow takes about 150."""

    pools: int = 16_384
    endpoints: int = 131_072
    slots: int = 524_288
    frontends: int = 131_072
    clients: int = 65_536
    flows: int = 65_536
    local_addresses: int = 4_096


class Maps:
    """With `pins`, a directory of a bpffs, what is kept with sockets outlives this process: so a client that connected
    before a restart still sees the Service's address after it. Raises BpfError."""

    def __init__(self, capacities: Capacities, pins: Path | None = None) -> None:
        with ExitStack() as stack:
            self.frontends = _hash(
                stack, "svc_frontends", layout.FRONTEND_KEY_SIZE, layout.FRONTEND_VALUE_SIZE, capacities.frontends
            )
            self.pools = _array(stack, "svc_pools", layout.PoolField.SIZE, capacities.pools)
            self.slots = _array(stack, "svc_slots", layout.SLOT_SIZE, capacities.slots)
            self.endpoints = _array(stack, "svc_endpoints", layout.EndpointField.SIZE, capacities.endpoints)
            self.counts = _array(stack, "svc_counts", layout.CountField.SIZE, capacities.endpoints)
            self.config = _array(stack, "svc_config", layout.ConfigField.SIZE, 1)
            self.failures = _array(stack, "svc_failures", 8, layout.FAILURE_RING)
            self.affinity = _recent(
                stack, "svc_affinity", layout.AFFINITY_KEY_SIZE, layout.AFFINITY_VALUE_SIZE, capacities.clients
            )
            self.flows = _recent(stack, "svc_flows", layout.FLOW_KEY_SIZE, layout.FLOW_VALUE_SIZE, capacities.flows)
            self.reverse = _kept(
                stack,
                BpfMap(
                    "svc_reverse",
                    MapKind.RECENT,
                    layout.REVERSE_KEY_SIZE,
                    layout.REVERSE_VALUE_SIZE,
                    capacities.flows,
                    _pinned(pins, "svc_reverse"),
                ),
            )
            self.local = _hash(
                stack, "svc_local", layout.LOCAL_KEY_SIZE, layout.LOCAL_VALUE_SIZE, capacities.local_addresses
            )
            self.peers = SocketStorage("svc_peers", layout.PeerField.SIZE, _pinned(pins, "svc_peers"))
            stack.callback(self.peers.close)
            if pins is not None:
                _pin(pins, {"svc_reverse": self.reverse.descriptor, "svc_peers": self.peers.descriptor})
            self._stack = stack.pop_all()
        self.capacities = capacities

    def close(self) -> None:
        """Let go of all."""
        self._stack.close()


def unpin(pins: Path) -> None:
    """Let the kernel forget what was kept for the next process."""
    for name in _KEPT:
        (pins / name).unlink(missing_ok=True)


def _pinned(pins: Path | None, name: str) -> int:
    """The descriptor of a map of the time before, or -1."""
    return open_pinned(str(pins / name)) if pins is not None and (pins / name).exists() else -1


def _pin(pins: Path, maps: Mapping[str, int]) -> None:
    for name, descriptor in maps.items():
        if not (pins / name).exists():
            pin(descriptor, str(pins / name))


def _hash(stack: ExitStack, name: str, key: int, value: int, capacity: int) -> BpfMap:
    return _kept(stack, BpfMap(name, MapKind.HASH, key, value, capacity))


def _recent(stack: ExitStack, name: str, key: int, value: int, capacity: int) -> BpfMap:
    return _kept(stack, BpfMap(name, MapKind.RECENT, key, value, capacity))


def _kept(stack: ExitStack, made: BpfMap) -> BpfMap:
    stack.callback(made.close)
    return made


def _array(stack: ExitStack, name: str, size: int, capacity: int) -> MappedArray:
    made = MappedArray(name, size, capacity)
    stack.callback(made.close)
    return made
