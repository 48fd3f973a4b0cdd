"""A Service port that no endpoint has: its name, or the name in its targetPort, is none of theirs.

Invariant: nothing is said of a Service that has no endpoints; in a slice made from Pods the names that count are the
containers', elsewhere those of the slice.
"""

from collections.abc import Iterable, Sequence

from proxy.model.endpoint_slice import CONTROLLER, MANAGED_BY_LABEL, TARGET_PORTS, EndpointPort, EndpointSlice
from proxy.model.problem import FieldError
from proxy.model.service import Service, ServicePort
from proxy.plan.selection import Candidates, port_numbers


def unmet_port(service: Service, port: ServicePort, candidates: Candidates) -> FieldError | None:
    """What to tell the author of the Service, or None where some endpoint of the family has the port."""
    slices = [endpoint_slice for endpoint_slice, members in candidates.slices if members]
    if not slices or any(port_numbers(each, port.name, port.protocol) for each in slices):
        return None
    index = service.spec.ports.index(port)
    target = port.target_port
    if isinstance(target, str) and all(_is_of_pods(each) for each in slices):
        field, wanted, offered = "targetPort", target, _container_ports(slices)
    else:
        ports = [offered for each in slices for offered in each.ports if offered.port]
        field, wanted, offered = "name", port.name, [_named(each, port.protocol) for each in ports]
    name = f"a port named `{wanted}`" if wanted else "an unnamed port"
    # Where the name is there for the other protocol, that is what is wrong.
    name = f"{name} for {port.protocol}" if any(each.startswith(f"`{wanted}` (") for each in offered) else name
    text = f"no endpoint has {name}; {_listed(offered)}"
    return FieldError(f"spec.ports[{index}].{field}", "FieldValueNotFound", text)


def _is_of_pods(endpoint_slice: EndpointSlice) -> bool:
    return endpoint_slice.metadata.labels.get(MANAGED_BY_LABEL) == CONTROLLER


def _container_ports(slices: Iterable[EndpointSlice]) -> list[str]:
    """Those that whoever made the slices noted; a real controller notes none."""
    noted = [each.metadata.annotations.get(TARGET_PORTS, "") for each in slices]
    return [f"`{name}`" for names in noted for name in names.split(",") if name]


def _named(port: EndpointPort, protocol: str) -> str:
    name = f"`{port.name}`" if port.name else f"{port.port} without a name"
    return name if port.protocol == protocol else f"{name} ({port.protocol})"


def _listed(offered: Sequence[str]) -> str:
    return f"there are: {', '.join(dict.fromkeys(offered))}" if offered else "name one in the Pods' containers"
