"""The settings of the plan on this machine: its name and its addresses put into the configuration's.

Invariant: addresses are read anew with each call, since they come and go; the name stays that of the start, because the
source and the Events have it, too.
"""

import socket

from proxy.configuration.config import Configuration
from proxy.configuration.settings import plan_settings
from proxy.control.node_addresses import local_addresses, node_port_addresses
from proxy.plan.settings import PlanSettings


def node_name(configuration: Configuration) -> str:
    """This machine's name: the override, or the host name in lower case as the kubelet has it."""
    return configuration.hostname_override or socket.gethostname().lower()


def node_settings(configuration: Configuration, name: str) -> PlanSettings:
    """What the plan needs to know on the machine called `name`."""
    return plan_settings(configuration, name, node_port_addresses(configuration), local_addresses())
