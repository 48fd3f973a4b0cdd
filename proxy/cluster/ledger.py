"""The ledger: every address and port that was given out, so that a restart gives the same ones.

Reading and writing the file is the source's. Invariant: a frozen value that serialises losslessly, one grant a
Service, sorted by Service. An empty grant is left out.
"""

from collections.abc import Set

import msgspec
from msgspec.structs import replace

from proxy.model.changes import ObjectKey
from proxy.model.service import Service, ServicePort


class NodePortGrant(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The node port of the Service port with this name and protocol."""

    node_port: int
    protocol: str
    name: str = ""


class Grant(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What one Service holds. `cluster_ips` maps the family ("IPv4", "IPv6") to the address; port 0 means none."""

    namespace: str
    name: str
    cluster_ips: dict[str, str] = msgspec.field(name="clusterIPs", default_factory=dict)
    node_ports: tuple[NodePortGrant, ...] = ()
    health_check_node_port: int = 0

    def __bool__(self) -> bool:
        return bool(self.cluster_ips or self.numbers)

    @property
    def numbers(self) -> frozenset[int]:
        """Every port number held, whatever for."""
        return frozenset({self.health_check_node_port, *(grant.node_port for grant in self.node_ports)} - {0})

    def except_for(self, resources: Set[str | int]) -> "Grant":
        """This grant less these addresses and port numbers."""
        return replace(
            self,
            cluster_ips={family: address for family, address in self.cluster_ips.items() if address not in resources},
            node_ports=tuple(grant for grant in self.node_ports if grant.node_port not in resources),
            health_check_node_port=0 if self.health_check_node_port in resources else self.health_check_node_port,
        )

    def without(self, other: "Grant") -> "Grant":
        """What of this grant is not in `other`."""
        kept = set(other.cluster_ips.values())
        health_check = self.health_check_node_port
        return replace(
            self,
            cluster_ips={family: address for family, address in self.cluster_ips.items() if address not in kept},
            node_ports=tuple(port for port in self.node_ports if port.node_port not in other.numbers),
            health_check_node_port=0 if health_check in other.numbers else health_check,
        )


class Ledger(msgspec.Struct, frozen=True):
    """Everything given out, sorted by (namespace, name)."""

    grants: tuple[Grant, ...] = ()


def grant_of(service: Service) -> Grant:
    """What an admitted `service` holds."""
    spec = service.spec
    addresses = zip(spec.ip_families, spec.cluster_ips, strict=False)
    return Grant(
        namespace=service.metadata.namespace,
        name=service.metadata.name,
        cluster_ips={family: address for family, address in addresses if address != "None"},
        node_ports=tuple(
            NodePortGrant(port.node_port, port.protocol, port.name) for port in spec.ports if port.node_port
        ),
        health_check_node_port=spec.health_check_node_port,
    )


def no_grant(key: ObjectKey) -> Grant:
    """The grant of a Service that holds nothing."""
    return Grant(*key)


def recall_node_ports(service: Service, grant: Grant) -> Service:
    """`service` with the node ports that `grant` has for its entries, where the manifest leaves them out."""
    remembered = {(held.name, held.protocol): held.node_port for held in grant.node_ports}
    stated = {(port.protocol, port.node_port) for port in service.spec.ports if port.node_port}

    def recalled(port: ServicePort) -> ServicePort:
        number = remembered.get((port.name, port.protocol), 0)
        if port.node_port or not number or (port.protocol, number) in stated:
            return port
        return replace(port, node_port=number)

    return replace(service, spec=replace(service.spec, ports=tuple(recalled(port) for port in service.spec.ports)))
