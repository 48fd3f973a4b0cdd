"""Node, with only its name, labels and addresses.

Imports only the metadata of this room. Invariant: the zone is read from the label topology.kubernetes.io/zone alone.
"""

import msgspec

from proxy.model.metadata import ObjectMeta

ZONE_LABEL = "topology.kubernetes.io/zone"


class NodeAddress(msgspec.Struct, frozen=True):
    type: str = ""
    address: str = ""


class NodeStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    addresses: tuple[NodeAddress, ...] = ()


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """core/v1 Node."""

    metadata: ObjectMeta
    status: NodeStatus = NodeStatus()

    @property
    def zone(self) -> str:
        return self.metadata.labels.get(ZONE_LABEL, "")
