"""Why a flow ended: the closed list that the access log, the metrics and the tests share.

The one place that translates an OSError of a flow's sockets. Invariant: `reason_of` gives a member for every errno; one
that no table row names is `error`.
"""

import enum
import errno
from types import MappingProxyType


class CloseReason(enum.StrEnum):
    """Why a flow ended. The value is the label in logs and metrics; `advice` is what an operator does about it,
    `number` its place in this list, from 0."""

    advice: str
    number: int

    def __new__(cls, label: str, advice: str) -> "CloseReason":
        member = str.__new__(cls, label)
        member._value_ = label
        member.advice = advice
        member.number = len(cls.__members__)
        return member

    CLIENT_CLOSED = (
        "client_closed",
        "Nothing to do: the client finished first and the rest of the exchange was delivered.",
    )
    BACKEND_CLOSED = (
        "backend_closed",
        "Nothing to do, unless clients complain: then look for a keep-alive or idle limit in the backend.",
    )
    CLIENT_RESET = (
        "client_reset",
        "Compare with the client's own timeouts: it gave up before the exchange was complete.",
    )
    BACKEND_RESET = (
        "backend_reset",
        "Look in the pod's log for a crash, a restart or an exceeded limit at this moment.",
    )
    CLIENT_TIMED_OUT = (
        "client_timed_out",
        "Check the path to the client: it stopped acknowledging what was sent to it.",
    )
    BACKEND_TIMED_OUT = (
        "backend_timed_out",
        "Check the backend's node and the path to it: the pod stopped acknowledging what was sent to it.",
    )
    CONNECT_REFUSED = (
        "connect_refused",
        "Check that the pod listens on the Service's targetPort, on its pod address and not on localhost alone.",
    )
    CONNECT_TIMEOUT = (
        "connect_timeout",
        "Check that the pod's node is up, that no NetworkPolicy drops the traffic, and the pod's accept backlog.",
    )
    CONNECT_UNREACHABLE = (
        "connect_unreachable",
        "Check the route, the firewall and the free local ports (net.ipv4.ip_local_port_range) towards the endpoint.",
    )
    NO_ENDPOINTS = (
        "no_endpoints",
        "Check that the Service's selector matches running pods and that they pass their readiness probes.",
    )
    IDLE_TIMEOUT = (
        "idle_timeout",
        "Raise the Service's idle timeout, or let the client send keep-alives, if such silence is normal.",
    )
    ENDPOINT_REMOVED = (
        "endpoint_removed",
        "Nothing to do: the UDP flow's endpoint left the Service and the client's next datagram gets another one.",
    )
    FRONTEND_REMOVED = (
        "frontend_removed",
        "Nothing to do if the Service, its port or its address was meant to go; otherwise restore it.",
    )
    FLOW_EVICTED = (
        "flow_evicted",
        "Raise udpFlows or the limit on open files, or shorten the UDP idle timeout: the oldest flow made room.",
    )
    DESCRIPTOR_LIMIT = (
        "descriptor_limit",
        "Raise the limit on open files (ulimit -n, LimitNOFILE): every connection takes two descriptors.",
    )
    DRAIN_DEADLINE = (
        "drain_deadline",
        "Raise the grace period if connections must be allowed to finish before the proxy stops.",
    )
    SHUTDOWN = (
        "shutdown",
        "Nothing to do: the proxy was told to end at once.",
    )
    KERNEL_CLOSED = (
        "kernel_closed",
        "Nothing to do: the connection took a path through the kernel, which does not tell which side ended it.",
    )
    ERROR = (
        "error",
        "Read the log line of this flow for the system's own message and report it if it is not understood.",
    )


class Side(enum.Enum):
    """Whose socket raised the error: the client's, the backend's once connected, or the backend's until then.

    Errors of a connected UDP socket belong to BACKEND as well.
    """

    CLIENT = "client"
    BACKEND = "backend"
    CONNECT = "connect"


_RESET = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENOTCONN)
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
# A firewall's verdict on our own packet, and no local port left towards this one destination.
_NOT_SENT = (errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL)
_EXHAUSTED = dict.fromkeys((errno.EMFILE, errno.ENFILE), CloseReason.DESCRIPTOR_LIMIT)

# Once connected, TCP reports an unreachable peer only after its retransmissions ran out, in the place of ETIMEDOUT
# (Linux net/ipv4/tcp_timer.c, tcp_write_err). A refusal then is ICMP's answer to a datagram.
_REASONS = MappingProxyType(
    {
        Side.CLIENT: {
            **_EXHAUSTED,
            **dict.fromkeys((*_RESET, errno.ECONNREFUSED), CloseReason.CLIENT_RESET),
            **dict.fromkeys((errno.ETIMEDOUT, *_UNREACHABLE), CloseReason.CLIENT_TIMED_OUT),
        },
        Side.BACKEND: {
            **_EXHAUSTED,
            **dict.fromkeys(_RESET, CloseReason.BACKEND_RESET),
            **dict.fromkeys((errno.ETIMEDOUT, *_UNREACHABLE), CloseReason.BACKEND_TIMED_OUT),
            errno.ECONNREFUSED: CloseReason.CONNECT_REFUSED,
        },
        Side.CONNECT: {
            **_EXHAUSTED,
            **dict.fromkeys(_RESET, CloseReason.BACKEND_RESET),
            **dict.fromkeys((*_UNREACHABLE, *_NOT_SENT), CloseReason.CONNECT_UNREACHABLE),
            errno.ECONNREFUSED: CloseReason.CONNECT_REFUSED,
            errno.ETIMEDOUT: CloseReason.CONNECT_TIMEOUT,
        },
    }
)


def reason_of(error: OSError, side: Side) -> CloseReason:
    """The close reason of a flow that ended by `error` on `side`; total, `error` where nothing better is known."""
    return _REASONS[side].get(error.errno or 0, CloseReason.ERROR)
