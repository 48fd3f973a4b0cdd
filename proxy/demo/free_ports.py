"""Ports for a demo: the usual ones, or the next that nothing on this machine has.

Invariant: what is chosen was free at every address that needs it. Checking leaves no socket behind.
"""

import socket
from collections.abc import Iterable

from proxy.model.pod import Pod

_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}
_ATTEMPTS = 1000

Need = tuple[str, str]
"""Protocol and address."""


def can_bind(protocol: str, address: str, port: int) -> bool:
    """Whether a socket may be bound there now."""
    with socket.socket(socket.AF_INET, _KINDS[protocol]) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if protocol == "TCP" else 0)
        try:
            probe.bind((address, port))
            if protocol == "TCP":
                probe.listen()
        except OSError:
            return False
    return True


def free_port(usual: int, needs: Iterable[Need]) -> int:
    """`usual`, or the next port that is free for all of `needs`; `usual` where there is none."""
    wanted = tuple(needs)
    candidates = range(usual, min(usual + _ATTEMPTS, 65536))
    return next((port for port in candidates if all(can_bind(*need, port) for need in wanted)), usual)


def moved_pod_ports(pods: Iterable[Pod]) -> dict[int, int]:
    """The container ports that are taken at any address of `pods`, each with one that is free at all of them."""
    needs: dict[int, set[Need]] = {}
    for pod in pods:
        for container in pod.spec.containers:
            for port in container.ports:
                needs.setdefault(port.container_port, set()).add((port.protocol or "TCP", pod.status.pod_ip))
    chosen = {port: free_port(port, sorted(where)) for port, where in needs.items()}
    return {port: other for port, other in chosen.items() if other != port}
