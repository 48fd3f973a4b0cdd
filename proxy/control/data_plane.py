"""Builds a data-plane worker in this process.

Imports the data plane and the configuration. Invariant: the worker gets its whole environment here, and no name of
the control process reaches it.
"""

import asyncio
from random import Random

from proxy.affinity import AffinityTable
from proxy.config import Configuration
from proxy.dataplane.access_log import AccessLog
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.resources import Resources
from proxy.dataplane.worker import Worker


def build_worker(configuration: Configuration, descriptors: int, access_log: AccessLog | None) -> Worker:
    """A worker on the running loop that may hold so many descriptors."""
    reactor = Reactor()
    reactor.embed(asyncio.get_running_loop())
    resources = Resources(
        reactor=reactor,
        descriptors=Descriptors(descriptors),
        affinity=AffinityTable(configuration.affinity_entries),
        random=Random(),
        most_flows=configuration.udp_flows,
        access_log=access_log,
    )
    return Worker(resources)
