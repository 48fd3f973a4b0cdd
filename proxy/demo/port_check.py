"""Ports that the demo needs: found free, or refused in one line that says what to do.

Invariant: checking leaves no socket behind.
"""

import errno
import socket
from collections.abc import Iterable

from proxy.capture.port_holder import holder_of
from proxy.model.service import Service

_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


class PortUnavailableError(Exception):
    """A port that cannot be had; the text is one line that names it, who has it, and the way round."""


def unavailable(protocol: str, address: str, port: int, error: OSError, way_round: str) -> PortUnavailableError:
    """The error to raise when binding (protocol, address, port) failed with `error`."""
    where = f"port {address}:{port}/{protocol}"
    if error.errno != errno.EADDRINUSE:
        return PortUnavailableError(f"{where} cannot be opened ({error.strerror}): {way_round}")
    holder = holder_of(protocol, address, port)
    taken = f"{where} is taken by {holder}" if holder else f"{where} is taken"
    return PortUnavailableError(f"{taken}: stop what has it, or {way_round}")


def check_node_ports(services: Iterable[Service], way_round: str) -> None:
    """Raises PortUnavailableError for the first node port that another program has.

    The proxy itself would report the port and carry on with the others; in a demo the port is the point.
    """
    for service in services:
        for port in service.spec.ports:
            if port.node_port:
                _check(port.protocol or "TCP", "0.0.0.0", port.node_port, way_round)


def _check(protocol: str, address: str, port: int, way_round: str) -> None:
    with socket.socket(socket.AF_INET, _KINDS[protocol]) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if protocol == "TCP" else 0)
        try:
            probe.bind((address, port))
            if protocol == "TCP":
                probe.listen()
        except OSError as error:
            raise unavailable(protocol, address, port, error, way_round) from error
