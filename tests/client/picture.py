"""Frames and Services for the tests of this folder."""

from proxy.reports.live_frame import (
    AddressView,
    EndpointCounts,
    EndpointView,
    Frame,
    PoolCounts,
    PoolView,
    ProxyView,
    ServiceView,
)

PROXY = ProxyView("1", True, False, "", 2, 7, 4, 0)


def counts(active: int = 0, opened: int = 0, received: int = 0, sent: int = 0, failed: int = 0) -> EndpointCounts:
    return EndpointCounts(active, 0, 0, opened, failed, received, sent)


def service(name: str, *endpoints: EndpointView, namespace: str = "default") -> ServiceView:
    """A Service with one pool, whose key is its name."""
    pool = PoolView(f"{namespace}/{name}", "http", "TCP", "rr", 0, endpoints)
    address = AddressView("ClusterIP", "TCP", "127.96.0.1", 80, "")
    return ServiceView(namespace, name, "ClusterIP", "80/TCP", "", "serving", "serving", (address,), (pool,))


def endpoint(number: int, weight: int = 1) -> EndpointView:
    return EndpointView(f"10.0.0.{number}", 8080, f"pod-{number}", weight)


def frame(*services: ServiceView, counts: dict[str, PoolCounts] | None = None) -> Frame:
    """A frame with these Services and counts by pool and place."""
    named: dict[str, ServiceView | None] = {f"{each.namespace}/{each.name}": each for each in services}
    return Frame(time=1.0, services=named, counts=counts or {}, proxy=PROXY, problems=())
