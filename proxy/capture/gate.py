"""Gate: what a frontend's socket does with clients while there is nothing to forward them to, or nothing for them.

Invariant: the socket stays bound; a state is left as quietly
as it was entered.
"""

import enum
import errno
import socket
from contextlib import suppress

from proxy.capture.source_filter import admit_only, attach, detach, drop_everything
from proxy.capture.source_ranges import in_common
from proxy.plan.frontend import Frontend


class Gate(enum.Enum):
    """OPEN: clients are served. REFUSED: the kernel answers ECONNREFUSED. DROPPED: silence (KEP-1669's case of a node
    without local endpoints, where a retry shall reach another node)."""

    OPEN = "open"
    REFUSED = "refused"
    DROPPED = "dropped"


def gate_of(frontend: Frontend, usable: bool) -> Gate:
    """What the gate must be for a frontend whose pool has a usable upstream or not."""
    if usable:
        return Gate.OPEN
    return Gate.DROPPED if frontend.when_empty == "drop" else Gate.REFUSED


def let_in(frontend: Frontend, gate: Gate) -> tuple[str, ...] | None:
    """The CIDRs whose packets reach the frontend's socket; empty for none, None for all. Clients of this machine have
    endpoints elsewhere where everybody else is met with silence."""
    if gate is not Gate.DROPPED:
        return frontend.source_ranges or None
    if frontend.source_ranges:
        return in_common(frontend.source_ranges, frontend.own_sources)
    return frontend.own_sources


def filter_sources(sock: socket.socket, sources: tuple[str, ...] | None) -> None:
    """Attach the packet filter that lets these in, as `let_in` gives them, or none.

    Raises OSError, whose text is for people, where the kernel does not take the ranges: too many of them, or too little
    memory for options. Then nobody gets in, because the ranges are a promise."""
    if sources is None:
        # Nothing was attached, as a rule.
        with suppress(FileNotFoundError):
            detach(sock)
    elif not sources:
        attach(sock, drop_everything())
    else:
        _admit_ranges(sock, sources)


def _admit_ranges(sock: socket.socket, sources: tuple[str, ...]) -> None:
    try:
        attach(sock, admit_only(sources, sock.family))
    except (ValueError, OSError) as error:
        attach(sock, drop_everything())
        number = error.errno if isinstance(error, OSError) and error.errno else errno.E2BIG
        raise OSError(number, f"nobody is let in: {error}: use fewer or wider source ranges") from error
