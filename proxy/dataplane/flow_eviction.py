"""UDP flows that make room: a client begins its flow anew with its next datagram, a connection cannot be begun anew.

Invariant: the flow that has been idle for longest goes first.
"""

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.resources import Resources
from proxy.dataplane.udp_flow import UdpFlow


def take_flow(resources: Resources) -> bool:
    """Take a descriptor for a flow, that of another one if there is none left."""
    if _take(resources):
        return True
    evict_flow(resources)
    return _take(resources)


def _take(resources: Resources) -> bool:
    return len(resources.flows) < resources.most_flows and resources.descriptors.take_flow()


def make_room_for_streams(resources: Resources, count: int) -> bool:
    """See to so many descriptors for connections: pipes that nobody uses go first, then flows beyond their floor. Gives
    whether there are as many now."""
    descriptors = resources.descriptors
    resources.pipes.close()
    while descriptors.free - descriptors.kept_for_flows < count:
        if descriptors.flows <= descriptors.flow_floor or not evict_flow(resources):
            return False
    return True


def evict_flow(resources: Resources) -> bool:
    """End the flow that has been idle for longest; gives whether there was one."""
    oldest = resources.flows.nearest()
    if not isinstance(oldest, UdpFlow):
        return False
    oldest.end(CloseReason.FLOW_EVICTED)
    return True
