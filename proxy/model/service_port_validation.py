"""Validation of a Service's ports.

Invariant: the rules and words of validateServicePort and of the loops over ports in ValidateService
(pkg/apis/core/validation); node port ranges and conflicts belong to the allocator.
"""

from collections.abc import Hashable, Iterator, Sequence

from proxy.model.field_errors import duplicate, forbidden, invalid, not_supported, required
from proxy.model.names import dns_label_messages, port_name_messages, qualified_name_messages
from proxy.model.problem import FieldError
from proxy.model.service import ServicePort

PROTOCOLS = ("SCTP", "TCP", "UDP")
PORT_RANGE_MESSAGE = "must be between 1 and 65535, inclusive"


def is_port_number(number: int) -> bool:
    """Whether `number` can be a port: 1..65535."""
    return 1 <= number <= 65535


def port_errors(ports: tuple[ServicePort, ...]) -> Iterator[FieldError]:
    """Errors of each port by itself, and of names used twice."""
    names: set[str] = set()
    for index, port in enumerate(ports):
        field = f"spec.ports[{index}]"
        if port.name:
            for message in dns_label_messages(port.name):
                yield invalid(f"{field}.name", port.name, message)
            if port.name in names:
                yield duplicate(f"{field}.name", port.name)
            names.add(port.name)
        elif len(ports) > 1:
            yield required(f"{field}.name")
        yield from _number_errors(port, field)


def forbidden_node_port_errors(ports: tuple[ServicePort, ...]) -> Iterator[FieldError]:
    """Errors of node ports on a Service of type ClusterIP."""
    for index, port in enumerate(ports):
        if port.node_port:
            yield forbidden(f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'")


def duplicate_port_errors(ports: tuple[ServicePort, ...]) -> Iterator[FieldError]:
    """Errors of node ports, then of ports, that occur twice with one protocol."""
    node_ports = [(port.protocol, port.node_port) if port.node_port else None for port in ports]
    for index in _repeated(node_ports):
        yield duplicate(f"spec.ports[{index}].nodePort", ports[index].node_port)
    for index in _repeated([(port.protocol, port.port) for port in ports]):
        yield duplicate(f"spec.ports[{index}]", _duplicate_key(ports[index]))


def _number_errors(port: ServicePort, field: str) -> Iterator[FieldError]:
    if not is_port_number(port.port):
        yield invalid(f"{field}.port", port.port, PORT_RANGE_MESSAGE)
    if not port.protocol:
        yield required(f"{field}.protocol")
    elif port.protocol not in PROTOCOLS:
        yield not_supported(f"{field}.protocol", port.protocol, PROTOCOLS)
    for message in _target_port_messages(port.target_port or 0):
        yield invalid(f"{field}.targetPort", port.target_port or 0, message)
    if port.app_protocol is not None:
        for message in qualified_name_messages(port.app_protocol):
            yield invalid(f"{field}.appProtocol", port.app_protocol, message)


def _target_port_messages(target_port: int | str) -> list[str]:
    if isinstance(target_port, str):
        return port_name_messages(target_port)
    return [] if is_port_number(target_port) else [PORT_RANGE_MESSAGE]


def _repeated(keys: Sequence[Hashable]) -> Iterator[int]:
    """The indexes of keys that an earlier one equals; None equals nothing."""
    seen: set[Hashable] = set()
    for index, key in enumerate(keys):
        if key is not None and key in seen:
            yield index
        seen.add(key)


def _duplicate_key(port: ServicePort) -> dict[str, object]:
    # The API server shows its own struct, with only the compared fields filled in.
    return {
        "Name": "",
        "Protocol": port.protocol,
        "AppProtocol": None,
        "Port": port.port,
        "TargetPort": 0,
        "NodePort": 0,
    }
