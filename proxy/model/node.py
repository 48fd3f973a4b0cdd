"""Node, with only its name, labels, taints, addresses, readiness and processors.

Invariant: the zone is read from the label topology.kubernetes.io/zone alone.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network

import msgspec

from proxy.model.metadata import ObjectMeta

ZONE_LABEL = "topology.kubernetes.io/zone"
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_SUFFIXES = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9}
TO_BE_DELETED_TAINT = "ToBeDeletedByClusterAutoscaler"
_SOME_TIME_AGO = "0001-01-01T00:00:00Z"


class NodeAddress(msgspec.Struct, frozen=True):
    type: str = ""
    address: str = ""


class NodeCondition(msgspec.Struct, frozen=True):
    type: str = ""
    status: str = ""


class NodeStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    addresses: tuple[NodeAddress, ...] = ()
    allocatable: Mapping[str, str | int | float] = {}
    conditions: tuple[NodeCondition, ...] = ()


class Taint(msgspec.Struct, frozen=True, omit_defaults=True):
    key: str = ""


class NodeSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    taints: tuple[Taint, ...] = ()
    pod_cidr: str = msgspec.field(default="", name="podCIDR")
    pod_cidrs: tuple[str, ...] = msgspec.field(default=(), name="podCIDRs")


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """core/v1 Node."""

    metadata: ObjectMeta
    status: NodeStatus = NodeStatus()
    spec: NodeSpec = NodeSpec()

    @property
    def zone(self) -> str:
        return self.metadata.labels.get(ZONE_LABEL, "")

    @property
    def pod_ranges(self) -> tuple[str, ...]:
        """The CIDRs of the addresses of its Pods, in their shortest form; what is none is left out."""
        asked = self.spec.pod_cidrs or (self.spec.pod_cidr,)
        return tuple(sorted({found for each in asked if (found := _range(each))}))

    @property
    def is_ready(self) -> bool:
        """Where no kubelet says whether it is, it is."""
        return all(each.status == "True" for each in self.status.conditions if each.type == "Ready")

    @property
    def has_control_plane(self) -> bool:
        """Whether it is a node of the control plane, on which other Pods are not expected."""
        return any(role in self.metadata.labels for role in _CONTROL_PLANE)

    @property
    def millicpu(self) -> int:
        """Thousandths of a processor that Pods may have; 0 where that is not known."""
        return _thousandths(str(self.status.allocatable.get("cpu", "")))

    @property
    def is_eligible(self) -> bool:
        """Whether load balancers shall send new traffic here (KEP-3836): it is not about to go away."""
        is_leaving = any(taint.key == TO_BE_DELETED_TAINT for taint in self.spec.taints)
        return not self.metadata.deletion_timestamp and not is_leaving


def deleted_node(name: str) -> Node:
    """What is to be told of a Node that is gone: it took its labels with it."""
    return Node(ObjectMeta(name=name, deletion_timestamp=_SOME_TIME_AGO))


def _thousandths(quantity: str) -> int:
    """A quantity of processors (apimachinery's resource.Quantity, MilliValue, which rounds up); 0 for what is none."""
    exponent = _SUFFIXES.get(quantity[-1:], 0)
    try:
        value = Decimal(quantity[:-1] if exponent else quantity).scaleb(exponent + 3)
        return -int(-value // 1)
    except (InvalidOperation, ValueError, OverflowError):
        return 0


def _range(cidr: str) -> str:
    try:
        return str(ip_network(cidr, strict=False))
    except ValueError:
        return ""
