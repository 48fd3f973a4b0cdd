"""Settings: what the plan and the cluster need of a configuration.

Invariant: nothing about this machine is found out here; its name and addresses are arguments.
"""

from collections.abc import Iterable, Iterator

from proxy.cluster.cluster import ClusterSettings
from proxy.configuration.config import Configuration
from proxy.dns.name_places import name_places
from proxy.plan.frontend import FrontendKey
from proxy.plan.local_addresses import LocalAddresses
from proxy.plan.own_places import OwnListener
from proxy.plan.settings import PlanSettings
from proxy.schedulers import registry

# These Services lead clients to the API and to DNS in every cluster.
_NAMED_API, _NAMED_DNS = "default/kubernetes", "kube-system/kube-dns"


def cluster_settings(configuration: Configuration, node_name: str) -> ClusterSettings:
    """The cluster of manifests on a machine called `node_name`."""
    return ClusterSettings(
        service_ranges=configuration.service_cluster_ip_range,
        node_port_range=configuration.node_port_range,
        node_name=node_name,
    )


def plan_settings(
    configuration: Configuration,
    node_name: str,
    node_port_addresses: Iterable[str] = ("0.0.0.0", "::"),
    local_addresses: Iterable[str] = (),
) -> PlanSettings:
    """The plan of a machine called `node_name`.

    It has `local_addresses` beside loopback, and its node ports listen on `node_port_addresses`.
    """
    return PlanSettings(
        node_name=node_name,
        scheduler=configuration.scheduler,
        schedulers=registry.names(),
        node_port_addresses=tuple(node_port_addresses),
        proxy_name=configuration.service_proxy_name,
        connect_timeout=configuration.connect_timeout,
        tcp_idle_timeout=configuration.tcp_idle_timeout,
        udp_idle_timeout=configuration.udp_idle_timeout,
        local_addresses=LocalAddresses(frozenset(local_addresses), configuration.service_cluster_ip_range),
        own_listeners=own_listeners(configuration),
        external_ip_ranges=configuration.external_ip_ranges,
    )


def own_listeners(configuration: Configuration) -> tuple[OwnListener, ...]:
    """Where the proxy answers for itself: health, metrics, the API of `standalone`, DNS.

    A port that the kernel chooses (0) is left out until the configuration says which it is.
    """
    return tuple(each for each in _all(configuration) if each.key.port)


def _all(configuration: Configuration) -> Iterator[OwnListener]:
    yield OwnListener(FrontendKey("TCP", *configuration.healthz_bind_address), "health address")
    yield OwnListener(FrontendKey("TCP", *configuration.metrics_bind_address), "metrics address")
    if configuration.standalone:
        yield OwnListener(FrontendKey("TCP", *configuration.api_bind_address), "Kubernetes API", _NAMED_API)
    for places in name_places(configuration):
        for place in places:
            for protocol in ("UDP", "TCP"):
                yield OwnListener(FrontendKey(protocol, *place), "DNS address", _NAMED_DNS)
