"""EndpointSlice: the addresses behind a Service, as discovery.k8s.io/v1 defines it.

Invariant: absent conditions keep the meaning that the API gives to nil (ready and serving: true, terminating: false),
through the properties here and nowhere else.
"""

import msgspec

from proxy.model.metadata import ObjectMeta

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
"""Whose the slices are that are made from Pods."""
TARGET_PORTS = "svcproxy.io/target-ports"
"""The annotation that names the ports of a slice's Pods, with commas, where a targetPort of the Service is none of
them."""
LAST_CHANGE_TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
"""The annotation that says when what this version shows began to be so (RFC 3339)."""


class EndpointConditions(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """conditions of one endpoint; None is the API's nil."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ZoneHint(msgspec.Struct, frozen=True, gc=False):
    name: str


class NodeHint(msgspec.Struct, frozen=True, gc=False):
    name: str


class EndpointHints(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    for_zones: tuple[ZoneHint, ...] = ()
    for_nodes: tuple[NodeHint, ...] = ()


class TargetReference(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The object an endpoint came from; the proxy uses it for Pods."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


class Endpoint(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One backend of a slice. Only the first of `addresses` is used, as kube-proxy does."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: TargetReference | None = None
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None

    @property
    def ready(self) -> bool:
        return self.conditions.ready is not False

    @property
    def serving(self) -> bool:
        return self.conditions.serving is not False

    @property
    def terminating(self) -> bool:
        return self.conditions.terminating is True


class EndpointPort(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One port of a slice, joined to a Service port by name and protocol; a None number is skipped."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """discovery.k8s.io/v1 EndpointSlice."""

    metadata: ObjectMeta
    address_type: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.metadata.namespace, self.metadata.name

    @property
    def service(self) -> tuple[str, str] | None:
        """(namespace, name) of the owning Service, or None for a slice that belongs to none."""
        name = self.metadata.labels.get(SERVICE_NAME_LABEL, "")
        return (self.metadata.namespace, name) if name else None
