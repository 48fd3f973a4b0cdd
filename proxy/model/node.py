"""Node, with only its name, labels, taints and addresses.

Imports only the metadata of this room. Invariant: the zone is read from the label topology.kubernetes.io/zone alone.
"""

import msgspec

from proxy.model.metadata import ObjectMeta

ZONE_LABEL = "topology.kubernetes.io/zone"
TO_BE_DELETED_TAINT = "ToBeDeletedByClusterAutoscaler"
_SOME_TIME_AGO = "0001-01-01T00:00:00Z"


class NodeAddress(msgspec.Struct, frozen=True):
    type: str = ""
    address: str = ""


class NodeStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    addresses: tuple[NodeAddress, ...] = ()


class Taint(msgspec.Struct, frozen=True, omit_defaults=True):
    key: str = ""


class NodeSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    taints: tuple[Taint, ...] = ()


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """core/v1 Node."""

    metadata: ObjectMeta
    status: NodeStatus = NodeStatus()
    spec: NodeSpec = NodeSpec()

    @property
    def zone(self) -> str:
        return self.metadata.labels.get(ZONE_LABEL, "")

    @property
    def is_eligible(self) -> bool:
        """Whether load balancers shall send new traffic here (KEP-3836): it is not about to go away."""
        is_leaving = any(taint.key == TO_BE_DELETED_TAINT for taint in self.spec.taints)
        return not self.metadata.deletion_timestamp and not is_leaving


def deleted_node(name: str) -> Node:
    """What is to be told of a Node that is gone: it took its labels with it."""
    return Node(ObjectMeta(name=name, deletion_timestamp=_SOME_TIME_AGO))
