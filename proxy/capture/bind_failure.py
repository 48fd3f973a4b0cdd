"""Why a frontend is not served as it should be, in one line with the way out.

Invariant: the line names the address, the port and what to do.
"""

import errno
from os import strerror

import msgspec

from proxy.bpf.bpf_error import BpfError
from proxy.capture.listening_socket import is_lacking_descriptors
from proxy.capture.port_holder import holder_of
from proxy.capture.unprivileged_ports import first_unprivileged_port
from proxy.dataplane.addresses import endpoint_text
from proxy.plan.frontend import Frontend

_NOT_HERE = (
    "the address is not on this machine: give it to an interface, or make its range local "
    "(ip route add local RANGE dev lo), which svcproxy does itself for serviceClusterIPRange if it may (CAP_NET_ADMIN)"
)
_NO_DESCRIPTOR = (
    "no file descriptor is left for it: raise the limit on open files (ulimit -n, LimitNOFILE), use fewer workers, "
    "or capture: sklookup"
)


class BindFailure(msgspec.Struct, frozen=True):
    """One frontend that is not served as it should be, and why; `number` is the errno of the attempt. `listens` is
    whether it has its port and lacks the rest."""

    frontend: Frontend
    reason: str
    number: int | None = None
    listens: bool = False

    def __str__(self) -> str:
        key = self.frontend.key
        place = f"{endpoint_text(key.address, key.port)}/{key.protocol}"
        return f"cannot {'serve' if self.listens else 'listen on'} {place}: {self.reason}"


def explain(frontend: Frontend, error: OSError, find_holder: bool = True) -> BindFailure:
    """The failure of this bind, in words. To find who holds a port reads every process of the machine."""
    if error.errno == errno.EADDRINUSE:
        return BindFailure(frontend, _taken(frontend, find_holder), error.errno)
    if error.errno == errno.EADDRNOTAVAIL:
        return BindFailure(frontend, _NOT_HERE, error.errno)
    if error.errno in (errno.EACCES, errno.EPERM):
        return BindFailure(frontend, _not_permitted(frontend.key.port), error.errno)
    if is_lacking_descriptors(error):
        return BindFailure(frontend, _NO_DESCRIPTOR, error.errno)
    return BindFailure(frontend, strerror(error.errno) if error.errno else str(error), error.errno)


def of_fault(frontend: Frontend, fault: OSError) -> BindFailure:
    """The failure of a frontend that has its port, in the words of what is captured."""
    reason = str(fault) if isinstance(fault, BpfError) or fault.strerror is None else fault.strerror
    return BindFailure(frontend, reason, fault.errno, listens=True)


def _not_permitted(port: int) -> str:
    start = first_unprivileged_port()
    if port >= start:
        return "a security module or a program of this cgroup forbids it: let svcproxy bind there"
    return (
        f"ports below {start} need the capability NET_BIND_SERVICE: run as root, or lower the bound "
        f"(sysctl net.ipv4.ip_unprivileged_port_start={port})"
    )


def _taken(frontend: Frontend, find_holder: bool) -> str:
    key = frontend.key
    holder = holder_of(key.protocol, key.address, key.port) if find_holder else None
    way_out = {
        "NodePort": "stop it, or give the Service another nodePort",
        "ClusterIP": "stop it, or give the Service another clusterIP or port",
    }.get(frontend.kind, "stop it, or give the Service another address or port")
    return f"port {key.port} is taken{f' by {holder}' if holder else ''}: {way_out}"
