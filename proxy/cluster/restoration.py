"""Taking again, after a restart, what the ledger says was given out.

Invariant: what is returned is reserved, and nothing else was; what the ranges of today no longer have, or somebody
earlier in the ledger has, is left out and will be given anew.
"""

from msgspec.structs import replace

from proxy.cluster.allocation_error import AllocationError
from proxy.cluster.allocators import Allocators, Reservation
from proxy.cluster.ledger import Grant, no_grant


def restored(grant: Grant, allocators: Allocators) -> Grant:
    """As much of `grant` as could be reserved."""
    reservation = Reservation(allocators, no_grant((grant.namespace, grant.name)))
    numbers = {number for number in grant.numbers if _is_port_free(number, reservation)}
    health_check = grant.health_check_node_port
    return replace(
        grant,
        cluster_ips={
            family: address
            for family, address in grant.cluster_ips.items()
            if family in allocators.cluster_ips and _is_address_free(family, address, reservation)
        },
        node_ports=tuple(port for port in grant.node_ports if port.node_port in numbers),
        health_check_node_port=health_check if health_check in numbers else 0,
    )


def _is_address_free(family: str, address: str, reservation: Reservation) -> bool:
    try:
        reservation.cluster_ip(family, address)
    except (AllocationError, ValueError):
        return False
    return True


def _is_port_free(number: int, reservation: Reservation) -> bool:
    try:
        reservation.node_port(number)
    except AllocationError:
        return False
    return True
