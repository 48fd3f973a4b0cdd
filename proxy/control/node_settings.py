"""The settings of the plan on this machine: its name and its addresses put into the configuration's.

Imports the configuration and this room. Invariant: read anew with each call, since addresses come and go.
"""

import socket

from proxy.configuration.config import Configuration
from proxy.configuration.settings import plan_settings
from proxy.control.node_addresses import node_port_addresses
from proxy.plan.settings import PlanSettings


def node_name(configuration: Configuration) -> str:
    """This machine's name: the override, or the host name in lower case as the kubelet has it."""
    return configuration.hostname_override or socket.gethostname().lower()


def node_settings(configuration: Configuration) -> PlanSettings:
    """What the plan needs to know."""
    return plan_settings(configuration, node_name(configuration), node_port_addresses(configuration))
