"""The columns of the tables.

Names, priorities and formats are those of kubernetes pkg/printers/internalversion; kubectl
prints names in capitals. Invariant: a kind's rows have a cell for each of its columns, in this order.
"""

import msgspec

from proxy.apiserver.document import Document

Row = list[str | int]
WIDE = 1


class Column(msgspec.Struct, frozen=True):
    """A TableColumnDefinition. Priority WIDE is for `-o wide` alone."""

    name: str
    description: str
    priority: int = 0
    type: str = "string"
    format: str = ""

    def definition(self) -> Document:
        """As it goes over the wire."""
        return msgspec.structs.asdict(self)


_NAME = Column("Name", "The name of the object, unique in its namespace.", format="name")
_AGE = Column("Age", "The time since the object was created.")

SERVICE_COLUMNS = (
    _NAME,
    Column("Type", "How the Service is reached."),
    Column("Cluster-IP", "The virtual IP address of the Service."),
    Column("External-IP", "The addresses outside the cluster that lead to the Service."),
    Column("Port(s)", "The ports of the Service, with their node ports."),
    _AGE,
    Column("Selector", "The labels of the pods that answer.", WIDE),
)
ENDPOINTS_COLUMNS = (_NAME, Column("Endpoints", "The endpoints that are ready."), _AGE)
ENDPOINT_SLICE_COLUMNS = (
    _NAME,
    Column("AddressType", "The type of every address in the slice."),
    Column("Ports", "The ports of every endpoint in the slice."),
    Column("Endpoints", "The addresses of the endpoints, ready or not."),
    _AGE,
)
POD_COLUMNS = (
    _NAME,
    Column("Ready", "How many of the containers are ready."),
    Column("Status", "The state of the pod and its containers in one word."),
    Column("Restarts", "How often containers were restarted, and when last."),
    _AGE,
    Column("IP", "The address of the pod.", WIDE),
    Column("Node", "The node that the pod runs on.", WIDE),
    Column("Nominated Node", "The node that is being made free for the pod.", WIDE),
    Column("Readiness Gates", "How many of the readiness gates are open.", WIDE),
)
NODE_COLUMNS = (
    _NAME,
    Column("Status", "The state of the node."),
    Column("Roles", "The roles of the node."),
    _AGE,
    Column("Version", "The version of the node's kubelet."),
    Column("Internal-IP", "The node's address inside the cluster.", WIDE),
    Column("External-IP", "The node's address outside the cluster.", WIDE),
    Column("OS-Image", "The operating system of the node.", WIDE),
    Column("Kernel-Version", "The version of the node's kernel.", WIDE),
    Column("Container-Runtime", "The container runtime of the node and its version.", WIDE),
)
NAMESPACE_COLUMNS = (_NAME, Column("Status", "The state of the namespace."), _AGE)
EVENT_COLUMNS = (
    Column("Last Seen", "The time since the event was last seen."),
    Column("Type", "Normal or Warning."),
    Column("Reason", "What happened, in one word."),
    Column("Object", "The object that the event is about."),
    Column("Subobject", "The part of the object that the event is about.", WIDE),
    Column("Source", "Who reported the event.", WIDE),
    Column("Message", "What happened, in words."),
    Column("First Seen", "The time since the event was first seen.", WIDE),
    Column("Count", "How often the event was seen.", WIDE, "integer"),
    Column("Name", "The name of the event.", WIDE, format="name"),
)
SERVICE_CIDR_COLUMNS = (_NAME, Column("CIDRs", "The ranges that ClusterIPs are given out of."), _AGE)
IP_ADDRESS_COLUMNS = (_NAME, Column("ParentRef", "The object that has the address."), _AGE)
DEFINITION_COLUMNS = (_NAME, Column("Created At", "When the definition was made.", type="date"))
ANY_COLUMNS = (_NAME, _AGE)
