"""Which capabilities the control process keeps, by what its configuration asks for.

Invariant: it keeps what it uses for as long as it runs, and nothing else; an ordinary user's process is left as it is.
"""

import logging

from proxy.configuration.config import Configuration
from proxy.logs import fields
from proxy.privileges import Capability, held, names_of, restrict

_ALWAYS = (
    # Ports below 1024, and the routes that make a service range local.
    Capability.NET_BIND_SERVICE,
    Capability.NET_ADMIN,
    # Workers are started as another user, and ended.
    Capability.SETUID,
    Capability.SETGID,
    Capability.KILL,
    # Manifests, kubeconfigs and tokens of other users are read; who holds a port is told by name.
    Capability.DAC_READ_SEARCH,
    Capability.SYS_PTRACE,
)
_WRITES_ANYWHERE = (Capability.DAC_OVERRIDE,)
_BPF = (Capability.BPF, Capability.PERFMON, Capability.SYS_ADMIN)
"""SYS_ADMIN enters other network namespaces, to end sockets of endpoints that left."""

_log = logging.getLogger(__name__)


def needed_capabilities(configuration: Configuration) -> frozenset[Capability]:
    """What this configuration may come to need."""
    needed = frozenset(_ALWAYS)
    if configuration.access_log not in ("", "-"):
        needed |= frozenset(_WRITES_ANYWHERE)
    if configuration.capture != "bind" or configuration.shortcut != "off":
        needed |= frozenset(_BPF)
    return needed


def drop_privileges(configuration: Configuration) -> None:
    """Let go of everything else. Call it before there are threads, each of which would keep what it began with."""
    try:
        restrict(needed_capabilities(configuration))
    except OSError as error:
        _log.warning(f"capabilities that are not needed are kept: {error.strerror}")


def tell_privileges() -> None:
    """Say in the log which capabilities are left, if there are any."""
    left = held()
    if left:
        _log.info("capabilities kept", extra=fields(capabilities=", ".join(names_of(left))))
