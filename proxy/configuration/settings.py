"""Settings: what the plan and the cluster need of a configuration.

Invariant: nothing about this machine is found out here; its name and addresses are arguments.
"""

from collections.abc import Iterable

from proxy.cluster.cluster import ClusterSettings
from proxy.configuration.config import Configuration
from proxy.configuration.own_listeners import own_listeners
from proxy.plan.local_addresses import LocalAddresses
from proxy.plan.settings import PlanSettings
from proxy.schedulers import registry


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
    """The plan of a machine called `node_name` that has `local_addresses` beside loopback, and whose node ports listen
    on `node_port_addresses`."""
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
    )
