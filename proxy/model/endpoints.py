"""Endpoints: the older form of a Service's addresses (core/v1, deprecated since 1.33).

Invariant: an Endpoints object never reaches the plan; it is mirrored to EndpointSlices first.
"""

import msgspec

from proxy.model.endpoint_slice import TargetReference
from proxy.model.metadata import ObjectMeta


class EndpointAddress(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    ip: str = ""
    hostname: str = ""
    node_name: str | None = None
    target_ref: TargetReference | None = None


class EndpointSubsetPort(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    port: int = 0
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointSubset(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The cross product of addresses and ports."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointSubsetPort, ...] = ()


class Endpoints(msgspec.Struct, frozen=True, omit_defaults=True):
    """core/v1 Endpoints; its name is its Service's name."""

    metadata: ObjectMeta
    subsets: tuple[EndpointSubset, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.metadata.namespace, self.metadata.name
