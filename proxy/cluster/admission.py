"""Admission: a new version of a Service gets its addresses and ports, or the API server's reasons why not.

Invariant: a refused version leaves the allocators as they were; an admitted one holds exactly what its spec shows
(pkg/registry/core/service/storage/alloc.go).
"""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from proxy.cluster.allocation_error import AllocationError, AlreadyAllocatedError, OutsideRangeError
from proxy.cluster.allocators import Allocators, Reservation
from proxy.cluster.ip_families import assign_ip_families, family_of
from proxy.cluster.ledger import Grant, grant_of, recall_node_ports
from proxy.cluster.not_admitted import NotAdmittedError
from proxy.model.field_errors import invalid
from proxy.model.problem import FieldError
from proxy.model.service import Service, ServicePort
from proxy.model.service_address_validation import is_headless
from proxy.model.service_update import carry_over, validate_service_update
from proxy.model.service_validation import needs_health_check


class Admission(msgspec.Struct, frozen=True):
    """`service` with everything filled in, what it holds from now on, and whether something became free."""

    service: Service
    grant: Grant
    released: bool


def admit(new: Service, old: Service | None, held: Grant, allocators: Allocators) -> Admission:
    """Bring `new` (decoded, defaulted, statically valid) into force over `old`, the version in force until now.

    `held` is what the Service holds already; without an `old` version that is what the ledger remembers of it.
    Raises NotAdmittedError.
    """
    service = carry_over(old, new) if old is not None else _recalled(new, held)
    if old is not None and (errors := validate_service_update(old, service)):
        raise NotAdmittedError(*errors)
    service = assign_ip_families(service, old, allocators.families)
    reservation = Reservation(allocators, held)
    try:
        service = _with_cluster_ips(service, held, reservation, allocators)
        service = _with_node_ports(service, reservation, creating=old is None)
        service = _with_health_check_port(service, held, reservation)
    except NotAdmittedError:
        reservation.undo()
        raise
    grant = grant_of(service)
    surplus = held.without(grant)
    allocators.release(surplus)
    return Admission(service, grant, bool(surplus))


def takes_node_ports(service: Service) -> bool:
    """Whether the Service's entries may have node ports."""
    return service.spec.type in ("NodePort", "LoadBalancer")


def _recalled(service: Service, held: Grant) -> Service:
    return recall_node_ports(service, held) if takes_node_ports(service) else service


def _with_cluster_ips(service: Service, held: Grant, reservation: Reservation, allocators: Allocators) -> Service:
    spec = service.spec
    if spec.type == "ExternalName":
        return service
    if is_headless(spec):
        return replace(service, spec=replace(spec, cluster_ip="None", cluster_ips=("None",)))
    addresses = []
    for index, family in enumerate(spec.ip_families):
        stated = spec.cluster_ips[index] if index < len(spec.cluster_ips) else ""
        try:
            addresses.append(reservation.cluster_ip(family, stated or held.cluster_ips.get(family, "")))
        except AllocationError as error:
            raise NotAdmittedError(_cluster_ip_error(service, stated, error, allocators)) from error
    return replace(service, spec=replace(spec, cluster_ip=addresses[0], cluster_ips=tuple(addresses)))


def _cluster_ip_error(service: Service, stated: str, error: AllocationError, allocators: Allocators) -> FieldError:
    if not stated:
        text = f'failed to allocate a serviceIP for Service "{service.metadata.name}": {error}'
        return FieldError("spec.clusterIPs", "InternalError", text)
    detail = f"failed to allocate IP {stated}: {error}"
    if isinstance(error, OutsideRangeError):
        cidr = allocators.cluster_ips[family_of(stated)].cidr
        detail += f" (the service range here is {cidr}; leave clusterIP out to get one, or set serviceClusterIPRange)"
    return invalid("spec.clusterIPs", service.spec.cluster_ips, detail)


def _with_node_ports(service: Service, reservation: Reservation, *, creating: bool) -> Service:
    """Fill in and take the node ports.

    On create, entries of one port number and different protocols share a node port. On update any entries may share
    one that they state, and none shares unasked.
    """
    if not takes_node_ports(service):
        return service
    automatic = service.spec.type == "NodePort" or service.spec.allocate_load_balancer_node_ports is not False
    taken: set[tuple[int, int]] = set()
    ports: list[ServicePort] = []
    for index, port in enumerate(service.spec.ports):
        number = port.node_port
        if creating and automatic and not number:
            number = _sibling_node_port(port, (*ports, *service.spec.ports))
        sharers = port.port if creating else 0
        if (number or automatic) and (sharers, number) not in taken:
            number = _node_port(index, number, reservation)
            taken.add((sharers, number))
        ports.append(replace(port, node_port=number))
    return replace(service, spec=replace(service.spec, ports=tuple(ports)))


def _sibling_node_port(port: ServicePort, entries: Iterable[ServicePort]) -> int:
    return next((entry.node_port for entry in entries if entry.port == port.port and entry.node_port), 0)


def _node_port(index: int, wanted: int, reservation: Reservation) -> int:
    field = f"spec.ports[{index}].nodePort"
    try:
        return reservation.node_port(wanted)
    except AllocationError as error:
        if not wanted:
            text = f"failed to allocate a nodePort: {error}"
            raise NotAdmittedError(FieldError(field, "InternalError", text)) from error
        raise NotAdmittedError(invalid(field, wanted, _port_detail(error))) from error


def _with_health_check_port(service: Service, held: Grant, reservation: Reservation) -> Service:
    spec = service.spec
    if not needs_health_check(spec):
        return replace(service, spec=replace(spec, health_check_node_port=0))
    wanted = spec.health_check_node_port or held.health_check_node_port
    try:
        if wanted and any(port.node_port == wanted for port in spec.ports):
            raise AlreadyAllocatedError("provided port is already allocated")
        number = reservation.node_port(wanted)
    except AllocationError as error:
        request = f"requested HealthCheck NodePort {wanted}" if wanted else "a HealthCheck NodePort"
        text = f"failed to allocate {request}: {_port_detail(error)}"
        raise NotAdmittedError(FieldError("spec.healthCheckNodePort", "InternalError", text)) from error
    return replace(service, spec=replace(spec, health_check_node_port=number))


def _port_detail(error: AllocationError) -> str:
    way_out = " (leave the port out to get one, or set nodePortRange)" if isinstance(error, OutsideRangeError) else ""
    return f"{error}{way_out}"
