"""Validation of what stands behind a Service: EndpointSlice, Endpoints and Pod.

Invariant: the API server's words (pkg/apis/discovery/validation and pkg/apis/core/validation) for the fields that are
used. Loopback addresses are refused only where asked: with no cluster, pods are processes of this machine.
"""

from collections.abc import Iterator

from proxy.model.addresses import endpoint_address_errors, parse_address
from proxy.model.endpoint_slice import Endpoint, EndpointPort, EndpointSlice
from proxy.model.endpoints import EndpointAddress, Endpoints, EndpointSubset, EndpointSubsetPort
from proxy.model.field_errors import duplicate, invalid, not_supported, required, too_many
from proxy.model.metadata_validation import metadata_errors
from proxy.model.names import (
    dns_label_messages,
    dns_subdomain_messages,
    domain_name_messages,
    label_value_messages,
    qualified_name_messages,
)
from proxy.model.pod import Pod
from proxy.model.pod_weight import MAXIMUM_WEIGHT, WEIGHT_LABEL, pod_weight
from proxy.model.problem import FieldError
from proxy.model.service_port_validation import PORT_RANGE_MESSAGE, PROTOCOLS, is_port_number

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MOST_ENDPOINTS = 1000
_MOST_ADDRESSES = 100
_MOST_PORTS = 20000
_MOST_HINTS = 8


def validate_endpoint_slice(endpoint_slice: EndpointSlice, *, allow_loopback: bool) -> tuple[FieldError, ...]:
    """Every error of an EndpointSlice that has its defaults, as ValidateEndpointSlice of 1.36."""
    return (
        *metadata_errors(endpoint_slice.metadata, dns_subdomain_messages),
        *_address_type_errors(endpoint_slice.address_type),
        *_slice_endpoint_errors(endpoint_slice, allow_loopback),
        *_slice_port_errors(endpoint_slice.ports),
    )


def validate_endpoints(endpoints: Endpoints, *, allow_loopback: bool) -> tuple[FieldError, ...]:
    """Every error of an Endpoints object, as ValidateEndpoints (pkg/apis/core/validation)."""
    errors = list(metadata_errors(endpoints.metadata, dns_subdomain_messages))
    for index, subset in enumerate(endpoints.subsets):
        errors.extend(_subset_errors(subset, f"subsets[{index}]", allow_loopback))
    return tuple(errors)


def validate_pod(pod: Pod, *, allow_loopback: bool) -> tuple[FieldError, ...]:
    """Every error of what is read of a Pod: its metadata with the weight label, its ports, and its addresses, which may
    be what those of an EndpointSlice may be."""
    return (
        *metadata_errors(pod.metadata, dns_subdomain_messages),
        *_weight_errors(pod),
        *_container_port_errors(pod),
        *_pod_address_errors(pod, allow_loopback),
    )


def _address_type_errors(address_type: str) -> Iterator[FieldError]:
    if not address_type:
        yield required("addressType")
    elif address_type not in _ADDRESS_TYPES:
        yield not_supported("addressType", address_type, _ADDRESS_TYPES)


def _slice_endpoint_errors(endpoint_slice: EndpointSlice, allow_loopback: bool) -> Iterator[FieldError]:
    if len(endpoint_slice.endpoints) > _MOST_ENDPOINTS:
        yield too_many("endpoints", len(endpoint_slice.endpoints), _MOST_ENDPOINTS)
        return
    for index, endpoint in enumerate(endpoint_slice.endpoints):
        field = f"endpoints[{index}]"
        if not endpoint.addresses:
            yield required(f"{field}.addresses", "must contain at least 1 address")
        elif len(endpoint.addresses) > _MOST_ADDRESSES:
            yield too_many(f"{field}.addresses", len(endpoint.addresses), _MOST_ADDRESSES)
        for position, text in enumerate(endpoint.addresses):
            address_field = f"{field}.addresses[{position}]"
            yield from _slice_address_errors(address_field, text, endpoint_slice.address_type, allow_loopback)
        yield from _endpoint_name_errors(endpoint, field)


def _slice_address_errors(field: str, text: str, address_type: str, allow_loopback: bool) -> Iterator[FieldError]:
    if address_type == "FQDN":
        if not text:
            yield required(field)
        else:
            yield from (invalid(field, text, message) for message in domain_name_messages(text))
    elif address_type in _ADDRESS_TYPES:
        address = parse_address(text)
        if address is not None and f"IPv{address.version}" != address_type:
            yield invalid(field, text, f"must be an {address_type} address")
        yield from endpoint_address_errors(field, text, allow_loopback=allow_loopback)


def _endpoint_name_errors(endpoint: Endpoint, field: str) -> Iterator[FieldError]:
    for message in dns_subdomain_messages(endpoint.node_name) if endpoint.node_name is not None else ():
        yield invalid(f"{field}.nodeName", endpoint.node_name, message)
    for message in dns_label_messages(endpoint.hostname) if endpoint.hostname is not None else ():
        yield invalid(f"{field}.hostname", endpoint.hostname, message)
    if endpoint.hints is not None:
        hints = {
            "forZones": [zone.name for zone in endpoint.hints.for_zones],
            "forNodes": [node.name for node in endpoint.hints.for_nodes],
        }
        for name, names in hints.items():
            if len(names) > _MOST_HINTS:
                yield too_many(f"{field}.hints.{name}", len(names), _MOST_HINTS)
            else:
                yield from _hint_errors(f"{field}.hints.{name}", names)


def _hint_errors(field: str, names: list[str]) -> Iterator[FieldError]:
    rule = label_value_messages if field.endswith("forZones") else dns_subdomain_messages
    for index, name in enumerate(names):
        for message in rule(name):
            yield invalid(f"{field}[{index}].name", name, message)
        if name in names[:index]:
            yield duplicate(f"{field}[{index}].name", name)


def _slice_port_errors(ports: tuple[EndpointPort, ...]) -> Iterator[FieldError]:
    if len(ports) > _MOST_PORTS:
        yield too_many("ports", len(ports), _MOST_PORTS)
        return
    names: set[str] = set()
    for index, port in enumerate(ports):
        field, name = f"ports[{index}]", port.name or ""
        for message in dns_label_messages(name) if name else ():
            yield invalid(f"{field}.name", name, message)
        if name in names:
            yield duplicate(f"{field}.name", name)
        names.add(name)
        yield from _slice_port_value_errors(port, field)


def _slice_port_value_errors(port: EndpointPort, field: str) -> Iterator[FieldError]:
    if port.port is not None and not 0 <= port.port <= 65535:
        yield invalid(f"{field}.port", port.port, "must be between 0 and 65535, inclusive")
    if port.protocol is None:
        yield required(f"{field}.protocol")
    elif port.protocol not in PROTOCOLS:
        yield not_supported(f"{field}.protocol", port.protocol, PROTOCOLS)
    for message in qualified_name_messages(port.app_protocol) if port.app_protocol is not None else ():
        yield invalid(f"{field}.appProtocol", port.app_protocol, message)


def _subset_errors(subset: EndpointSubset, field: str, allow_loopback: bool) -> Iterator[FieldError]:
    if not subset.addresses and not subset.not_ready_addresses:
        yield required(field, "must specify `addresses` or `notReadyAddresses`")
    named = {"addresses": subset.addresses, "notReadyAddresses": subset.not_ready_addresses}
    for name, addresses in named.items():
        for index, address in enumerate(addresses):
            yield from _subset_address_errors(address, f"{field}.{name}[{index}]", allow_loopback)
    for index, port in enumerate(subset.ports):
        yield from _subset_port_errors(port, f"{field}.ports[{index}]", len(subset.ports) > 1)


def _subset_address_errors(address: EndpointAddress, field: str, allow_loopback: bool) -> Iterator[FieldError]:
    yield from endpoint_address_errors(f"{field}.ip", address.ip, allow_loopback=allow_loopback)
    for message in dns_label_messages(address.hostname) if address.hostname else ():
        yield invalid(f"{field}.hostname", address.hostname, message)
    for message in dns_subdomain_messages(address.node_name) if address.node_name is not None else ():
        yield invalid(f"{field}.nodeName", address.node_name, message)


def _subset_port_errors(port: EndpointSubsetPort, field: str, needs_name: bool) -> Iterator[FieldError]:
    if needs_name and not port.name:
        yield required(f"{field}.name")
    for message in dns_label_messages(port.name) if port.name else ():
        yield invalid(f"{field}.name", port.name, message)
    if not is_port_number(port.port):
        yield invalid(f"{field}.port", port.port, PORT_RANGE_MESSAGE)
    if not port.protocol:
        yield required(f"{field}.protocol")
    elif port.protocol not in PROTOCOLS:
        yield not_supported(f"{field}.protocol", port.protocol, PROTOCOLS)
    for message in qualified_name_messages(port.app_protocol) if port.app_protocol is not None else ():
        yield invalid(f"{field}.appProtocol", port.app_protocol, message)


def _weight_errors(pod: Pod) -> Iterator[FieldError]:
    text = pod.metadata.labels.get(WEIGHT_LABEL)
    if text is not None and pod_weight(pod.metadata.labels) is None:
        detail = f"must be an integer between 0 and {MAXIMUM_WEIGHT}, inclusive"
        yield invalid(f"metadata.labels[{WEIGHT_LABEL}]", text, detail)


def _container_port_errors(pod: Pod) -> Iterator[FieldError]:
    lists = {"initContainers": pod.spec.init_containers, "containers": pod.spec.containers}
    for name, containers in lists.items():
        for index, container in enumerate(containers):
            for position, port in enumerate(container.ports):
                field = f"spec.{name}[{index}].ports[{position}]"
                if not port.container_port:
                    yield required(f"{field}.containerPort")
                elif not is_port_number(port.container_port):
                    yield invalid(f"{field}.containerPort", port.container_port, PORT_RANGE_MESSAGE)
                if port.protocol not in PROTOCOLS:
                    yield not_supported(f"{field}.protocol", port.protocol, PROTOCOLS)


def _pod_address_errors(pod: Pod, allow_loopback: bool) -> Iterator[FieldError]:
    addresses = {"status.podIP": pod.status.pod_ip} if pod.status.pod_ip else {}
    addresses |= {f"status.podIPs[{index}].ip": entry.ip for index, entry in enumerate(pod.status.pod_ips)}
    for field, address in addresses.items():
        yield from endpoint_address_errors(field, address, allow_loopback=allow_loopback)
