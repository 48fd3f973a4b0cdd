"""What one Pod is to one Service: an endpoint, and the numbers of the Service's ports on it.

Invariant: the conditions are those of the EndpointSlice controller (podToEndpoint of k8s.io/endpointslice), except
that a Pod without a Ready condition is ready: where there is no kubelet, nobody sets it.
"""

from collections.abc import Iterator, Mapping

from proxy.cluster.ip_families import family_of
from proxy.model.endpoint_slice import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    NodeHint,
    TargetReference,
    ZoneHint,
)
from proxy.model.pod import ContainerPort, Pod
from proxy.model.service import Service, ServicePort

_SAME_ZONE = ("PreferClose", "PreferSameZone", "PreferSameNode")
_FINISHED = ("Succeeded", "Failed")


def pod_addresses(pod: Pod, family: str) -> tuple[str, ...]:
    """The Pod's addresses of `family`; none for a Pod that has run to its end."""
    if pod.status.phase in _FINISHED:
        return ()
    addresses = tuple(entry.ip for entry in pod.status.pod_ips) or (pod.status.pod_ip,)
    return tuple(address for address in addresses if address and family_of(address) == family)


def pod_endpoint(service: Service, pod: Pod, family: str, zones: Mapping[str, str], node_name: str) -> Endpoint | None:
    """The Pod as an endpoint of `service`, or None if it has no address of `family`.

    `zones` maps nodes to their zones; `node_name` is the node of a Pod that names none.
    """
    addresses = pod_addresses(pod, family)
    if not addresses:
        return None
    serving, terminating = _is_serving(pod), pod.metadata.deletion_timestamp is not None
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    node = pod.spec.node_name or node_name
    zone = zones.get(node, "")
    named = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
    return Endpoint(
        addresses=addresses,
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=pod.spec.hostname if named else None,
        target_ref=TargetReference(
            kind="Pod", name=pod.metadata.name, namespace=pod.metadata.namespace, uid=pod.metadata.uid
        ),
        node_name=node or None,
        zone=zone or None,
        hints=_hints(service.spec.traffic_distribution, zone, node) if ready else None,
    )


def pod_ports(service: Service, pod: Pod) -> tuple[EndpointPort, ...]:
    """The Service's ports with their numbers on this Pod; a named port that the Pod lacks is left out."""
    numbered = ((port, _port_number(port, pod)) for port in service.spec.ports)
    return tuple(
        EndpointPort(name=port.name, protocol=port.protocol, port=number, app_protocol=port.app_protocol)
        for port, number in numbered
        if number is not None
    )


def target_ports(pod: Pod) -> tuple[str, ...]:
    """The names that a targetPort may have on this Pod, in the order of its containers."""
    return tuple(dict.fromkeys(offered.name for offered in _offered(pod) if offered.name))


def _offered(pod: Pod) -> Iterator[ContainerPort]:
    """The ports of its containers, those of sidecars included."""
    sidecars = (container for container in pod.spec.init_containers if container.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        yield from container.ports


def _is_serving(pod: Pod) -> bool:
    return all(condition.status == "True" for condition in pod.status.conditions if condition.type == "Ready")


def _hints(distribution: str | None, zone: str, node: str) -> EndpointHints | None:
    """Hints of trafficDistribution (KEP-2433, KEP-3015); without a zone or node there is nothing to hint at."""
    zones = (ZoneHint(zone),) if zone and distribution in _SAME_ZONE else ()
    nodes = (NodeHint(node),) if node and distribution == "PreferSameNode" else ()
    return EndpointHints(for_zones=zones, for_nodes=nodes) if zones or nodes else None


def _port_number(port: ServicePort, pod: Pod) -> int | None:
    target = port.target_port
    if not isinstance(target, str):
        return target or port.port
    for offered in _offered(pod):
        if offered.name == target and offered.protocol == port.protocol:
            return offered.container_port
    return None
