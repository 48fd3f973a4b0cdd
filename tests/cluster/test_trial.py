"""A trial tells what a Service would get, and takes nothing."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.allocators import allocators_for
from proxy.cluster.ledger import Ledger
from proxy.cluster.not_admitted import NotAdmittedError
from proxy.cluster.service_registry import ServiceRegistry
from proxy.model.defaults import default_service
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServicePort, ServiceSpec

TYPES = st.sampled_from(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"))
STEPS = st.lists(
    st.tuples(st.sampled_from(("a", "b", "kubernetes")), TYPES, st.sampled_from((0, 30000, 30001)), st.booleans()),
    max_size=12,
)


def registry() -> ServiceRegistry:
    return ServiceRegistry(allocators_for(("10.0.0.0/29",), (30000, 30003), Random(1)), Ledger())


def service(name: str, kind: str = "NodePort", node_port: int = 0) -> Service:
    port = ServicePort(80, node_port=node_port if kind in ("NodePort", "LoadBalancer") else 0)
    spec = ServiceSpec(type=kind, ports=(port,), external_name="example.com" if kind == "ExternalName" else "")
    return default_service(Service(ObjectMeta(name=name, namespace="default"), spec))


def out(services: ServiceRegistry) -> tuple[frozenset[int], frozenset[int]]:
    allocators = services._allocators
    pools = (allocators.cluster_ips["IPv4"]._pool, allocators.node_ports._pool)
    return frozenset(pools[0]._out), frozenset(pools[1]._out)


@given(STEPS)
def test_a_trial_leaves_the_registry_and_the_allocators_as_they_were(steps: list[tuple[str, str, int, bool]]) -> None:
    services = registry()
    for name, kind, node_port, real in steps:
        before, in_force, ledger = out(services), dict(services.in_force), services.ledger
        try:
            tried = services.trial(service(name, kind, node_port))
        except NotAdmittedError:
            tried = None
        assert out(services) == before
        assert dict(services.in_force) == in_force
        assert services.ledger == ledger
        if real and tried is not None:
            services.apply([tried], [])
            assert services.in_force[tried.key] == tried


def test_a_trial_of_what_cannot_be_had_is_refused() -> None:
    services = registry()
    services.apply([service("a", node_port=30001)], [])
    with pytest.raises(NotAdmittedError, match="provided port is already allocated"):
        services.trial(service("b", node_port=30001))
