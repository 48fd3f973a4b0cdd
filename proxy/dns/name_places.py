"""Where names are answered, as the configuration has it.

Invariant: pure; where a cluster is followed names are answered only if somebody says where, since that cluster has its
own DNS.
"""

from ipaddress import ip_network

from proxy.configuration.config import Configuration
from proxy.dns.settings import SocketAddress

PORT, UNPRIVILEGED_PORT = 53, 10053
_TENTH = 10


def name_places(configuration: Configuration) -> tuple[tuple[SocketAddress, ...], ...]:
    """For each address to serve on, the places to try, in order; empty where DNS is off."""
    chosen = configuration.dns.bind_address
    if isinstance(chosen, tuple):
        return ((chosen,),)
    if chosen == "off" or configuration.follows_cluster:
        return ()
    hosts = (dns_address(cidr) for cidr in configuration.service_cluster_ip_range)
    return tuple(((host, PORT), (host, UNPRIVILEGED_PORT)) for host in hosts if host)


def dns_address(cidr: str) -> str:
    """The tenth address of a service range, where a cluster has its DNS; empty where the range is too small."""
    network = ip_network(cidr)
    return str(network[_TENTH]) if network.num_addresses > _TENTH + 1 else ""
