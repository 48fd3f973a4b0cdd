"""The plan of one Service: its pools and frontends, and in words what it has no listener for.

Invariant: a pure function of the Service, its slices, its Pods' weights, the zone, the settings and what of this proxy
is where; every frontend's pool is in the same plan, and what is where changes no frontend's key.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from proxy.model.changes import ObjectKey
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.problem import FieldError
from proxy.model.service import Service, ServicePort
from proxy.plan.addresses import with_port
from proxy.plan.annotations import ServiceOptions, read_annotations
from proxy.plan.frontend import Frontend, FrontendKey, Pool, Target
from proxy.plan.health_check import HealthCheck, health_checks
from proxy.plan.led_back import LedBack, led_back, occupied, without
from proxy.plan.own_places import OwnPlaces
from proxy.plan.selection import (
    Candidates,
    Locality,
    PortEndpoint,
    PortIdentity,
    Selection,
    candidates_of,
    select_endpoints,
)
from proxy.plan.service_addresses import (
    AddressKind,
    ServiceAddress,
    address_notes,
    families_of,
    service_addresses,
    unserved_reason,
)
from proxy.plan.settings import PlanSettings
from proxy.plan.unmet_ports import unmet_port

DEFAULT_AFFINITY_SECONDS = 10800
_LOCAL = "/local"


class ServicePlan(msgspec.Struct, frozen=True):
    """What one Service comes to on this node.

    `notes` say why it, or a part of it, has no listener; `endpoint_notes` why a pool (named first) is empty or leaves
    endpoints out; `problems` and `led_back` what its author should mend. Frontend keys are unique within one plan.
    `health_checks` is its healthCheckNodePort.
    """

    pools: tuple[Pool, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    notes: tuple[str, ...] = ()
    endpoint_notes: tuple[str, ...] = ()
    problems: tuple[FieldError, ...] = ()
    led_back: tuple[LedBack, ...] = ()
    health_checks: tuple[HealthCheck, ...] = ()


class _Inputs(msgspec.Struct, frozen=True):
    """What all ports of one Service share."""

    service: Service
    name: str
    slices: Sequence[EndpointSlice]
    weights: Mapping[ObjectKey, int]
    locality: Locality
    settings: PlanSettings
    options: ServiceOptions
    own: OwnPlaces
    own_sources: Sequence[str]


class _Family(msgspec.Struct, frozen=True):
    """What all ports of one Service share in one family."""

    name: str
    candidates: Candidates
    addresses: Sequence[ServiceAddress]


def plan_service(
    service: Service,
    slices: Iterable[EndpointSlice],
    weights: Mapping[ObjectKey, int],
    node_zone: str,
    settings: PlanSettings,
    own: OwnPlaces,
    own_sources: Sequence[str] = (),
) -> ServicePlan:
    """Plan one Service from its own slices; `weights` by (namespace, Pod name), 1 where there is none.

    Internal traffic policy decides for the ClusterIP, external traffic policy for every other address (KEP-2086).
    Where that is Local, clients from `own_sources` (CIDRs), those of this node, use every endpoint all the same, as
    with kube-proxy: what asks from within comes to no other node.
    """
    families = families_of(service)
    reason = unserved_reason(service, families, settings)
    if reason:
        return ServicePlan(notes=(reason,))
    options = read_annotations(service.metadata.annotations, settings)
    locality = Locality(settings.node_name, node_zone)
    inputs = _Inputs(
        service, "/".join(service.key), tuple(slices), weights, locality, settings, options, own, own_sources
    )
    unsupported = [(index, port) for index, port in enumerate(service.spec.ports) if port.protocol == "SCTP"]
    parts = [
        _plan_port(inputs, port, family)
        for family in (_family(inputs, name) for name in families)
        for port in service.spec.ports
        if port.protocol != "SCTP"
    ]
    return ServicePlan(
        pools=tuple(pool for part in parts for pool in part.pools),
        frontends=_first_of_each_key(frontend for part in parts for frontend in part.frontends),
        notes=(
            *address_notes(service, families, settings),
            *dict.fromkeys(problem.text for part in parts for problem in part.problems if _is_of_address(problem)),
            *(f"port {port.port}/SCTP: not supported" for _, port in unsupported),
        ),
        endpoint_notes=tuple(note for part in parts for note in part.endpoint_notes),
        problems=(
            *options.problems,
            *(_sctp_problem(index) for index, _ in unsupported),
            *dict.fromkeys(problem for part in parts for problem in part.problems),
        ),
        led_back=tuple(each for part in parts for each in part.led_back),
        health_checks=health_checks(service, families, inputs.slices, settings.node_name),
    )


def _family(inputs: _Inputs, name: str) -> _Family:
    addresses = tuple(service_addresses(inputs.service, name, inputs.settings))
    return _Family(name, candidates_of(inputs.slices, name), addresses)


def _sctp_problem(index: int) -> FieldError:
    text = "SCTP is not supported by svcproxy; this port is not served"
    return FieldError(f"spec.ports[{index}].protocol", "FieldValueNotSupported", text)


def _plan_port(inputs: _Inputs, port: ServicePort, family: _Family) -> ServicePlan:
    """The part of the plan that one port has in one family."""
    identity = PortIdentity(port.name, port.protocol, family.name)
    chosen = select_endpoints(family.candidates, identity, inputs.locality)
    unmet = unmet_port(inputs.service, port, family.candidates)
    if unmet is not None:
        chosen = msgspec.structs.replace(chosen, cluster_reason=unmet.text, local_reason=unmet.text)
    found = occupied(chosen, inputs.name, port.protocol, inputs.own)
    selection = without(chosen, found)
    key = f"{inputs.name}{':' if port.name else ''}{port.name}/{port.protocol}/{family.name}"
    frontends = tuple(_frontends(inputs, port, family, key, selection))
    sets = {
        key: (selection.cluster, selection.cluster_reason),
        _local_key(key): (selection.local, selection.local_reason),
    }
    named = {name for frontend in frontends for name in (frontend.pool, frontend.own_pool) if name}
    used = {pool: sets[pool] for pool in sorted(named)}
    return ServicePlan(
        pools=tuple(
            _pool(inputs, port, key, pool, endpoints, selection.draining) for pool, (endpoints, _) in used.items()
        ),
        frontends=frontends,
        endpoint_notes=tuple(f"{pool}: {reason}" for pool, (_, reason) in used.items() if reason),
        problems=(*((unmet,) if unmet is not None and used else ()), *_own_listeners(inputs, port, family)),
        led_back=led_back(
            f"port {port.name or port.port}", found, (each for pool in used for each in _considered(chosen, pool))
        )
        if found
        else (),
    )


def _first_of_each_key(frontends: Iterable[Frontend]) -> tuple[Frontend, ...]:
    """Without repeats, such as an external IP that is a node port address as well."""
    found: dict[FrontendKey, Frontend] = {}
    for frontend in frontends:
        found.setdefault(frontend.key, frontend)
    return tuple(found.values())


def _local_key(pool_key: str) -> str:
    return f"{pool_key}{_LOCAL}"


def _considered(chosen: Selection, pool_key: str) -> Iterator[PortEndpoint]:
    """What a pool would have if no endpoint led back."""
    yield from chosen.local if pool_key.endswith(_LOCAL) else chosen.cluster
    yield from chosen.draining


def _frontends(
    inputs: _Inputs, port: ServicePort, family: _Family, pool_key: str, selection: Selection
) -> Iterator[Frontend]:
    """One frontend for every address; a drained-away Local set is silent where another node could answer."""
    spec = inputs.service.spec
    for kind, address, source_ranges in family.addresses:
        number = port.node_port if kind is AddressKind.NODE_PORT else port.port
        if not number or _own_listener(inputs, port, number, kind, address):
            continue
        is_external = kind is not AddressKind.CLUSTER_IP
        policy = spec.external_traffic_policy if is_external else spec.internal_traffic_policy
        is_local = policy == "Local"
        own = inputs.own_sources if is_local and is_external and selection.local != selection.cluster else ()
        own_sources = tuple(each for each in own if (":" in each) is (":" in address))
        yield Frontend(
            key=FrontendKey(port.protocol, address, number),
            pool=_local_key(pool_key) if is_local else pool_key,
            service=inputs.name,
            kind=kind.value,
            when_empty="drop" if is_local and not selection.local and selection.has_any else "refuse",
            source_ranges=source_ranges,
            own_pool=pool_key if own_sources else "",
            own_sources=own_sources,
        )


def _own_listeners(inputs: _Inputs, port: ServicePort, family: _Family) -> Iterator[FieldError]:
    """What to tell of external addresses of a port at which this proxy answers for itself."""
    for kind, address, _ in family.addresses:
        what = _own_listener(inputs, port, port.port, kind, address)
        if what:
            text = f"{with_port(address, port.port)}/{port.protocol} is {what}, and is not taken: choose another port"
            field = "spec.externalIPs" if kind is AddressKind.EXTERNAL_IP else "status.loadBalancer.ingress"
            yield FieldError(field, "FieldValueForbidden", text)


def _own_listener(inputs: _Inputs, port: ServicePort, number: int, kind: AddressKind, address: str) -> str:
    if kind not in (AddressKind.EXTERNAL_IP, AddressKind.LOAD_BALANCER):
        return ""
    return inputs.own.listener_at(inputs.name, port.protocol, address, number)


def _is_of_address(problem: FieldError) -> bool:
    return problem.reason == "FieldValueForbidden"


def _pool(
    inputs: _Inputs,
    port: ServicePort,
    affinity_key: str,
    pool_key: str,
    endpoints: Collection[PortEndpoint],
    draining: Iterable[PortEndpoint],
) -> Pool:
    settings, options = inputs.settings, inputs.options
    protocol_idle_timeout = settings.udp_idle_timeout if port.protocol == "UDP" else settings.tcp_idle_timeout
    return Pool(
        key=pool_key,
        service=inputs.name,
        port_name=port.name,
        protocol=port.protocol,
        scheduler=options.scheduler,
        affinity_key=affinity_key,
        affinity_seconds=_affinity_seconds(inputs.service),
        connect_timeout=options.connect_timeout,
        idle_timeout=protocol_idle_timeout if options.idle_timeout is None else options.idle_timeout,
        targets=_targets(inputs, endpoints),
        draining=tuple((each.address, each.port) for each in draining if each not in endpoints),
        path=options.path,
        needs=options.needs,
    )


def _affinity_seconds(service: Service) -> int:
    if service.spec.session_affinity != "ClientIP":
        return 0
    config = service.spec.session_affinity_config
    seconds = config.client_ip.timeout_seconds if config and config.client_ip else None
    return DEFAULT_AFFINITY_SECONDS if seconds is None else seconds


def _targets(inputs: _Inputs, endpoints: Iterable[PortEndpoint]) -> tuple[Target, ...]:
    """Pods are in their Service's namespace, so `targetRef.namespace` says nothing new."""
    weights, namespace = inputs.weights, inputs.service.metadata.namespace
    found = []
    for each in endpoints:
        reference = each.endpoint.target_ref
        if reference is None or reference.kind != "Pod":
            found.append(Target(each.address, each.port))
        else:
            weight = weights.get((namespace, reference.name), 1) if weights else 1
            found.append(Target(each.address, each.port, weight, reference.name))
    return tuple(found)
