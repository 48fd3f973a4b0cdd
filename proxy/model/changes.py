"""Changes: what a source says happened, in whole batches.

Invariant: every object in a batch is defaulted, valid and carries its addresses.
"""

import msgspec

from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.node import Node
from proxy.model.problem import Problem
from proxy.model.service import Service

ObjectKey = tuple[str, str]
"""(namespace, name)."""


class PodWeight(msgspec.Struct, frozen=True):
    """The label svcproxy.io/weight of one Pod; None when the Pod or the label is gone."""

    namespace: str
    name: str
    weight: int | None


class Changes(msgspec.Struct, frozen=True):
    """What is different since the last Changes of the same source; one instance is applied as a whole.

    `problems` is the complete list of what the source has to complain about now, or None if that did not change.
    `node` is this machine's own Node, or None if that did not change. `known_state_of` is None if it did not
    change. It is the time (RFC 3339) of the last known state while the origin is away, and empty while the origin
    itself is followed.
    """

    services: tuple[Service, ...] = ()
    removed_services: tuple[ObjectKey, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    removed_slices: tuple[ObjectKey, ...] = ()
    pod_weights: tuple[PodWeight, ...] = ()
    node: Node | None = None
    problems: tuple[Problem, ...] | None = None
    known_state_of: str | None = None
