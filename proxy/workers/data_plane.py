"""The data plane as the control process sees it, wherever it runs.

Invariant: everything a worker learns passes through here as messages and sockets,
so that it makes no difference to it where it runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from socket import socket
from typing import Protocol

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.question import Answer, Question
from proxy.plan.frontend import Delta, FrontendKey
from proxy.reports.report import WorkerReport
from proxy.shared_counts.table import SharedTable

Sockets = Mapping[FrontendKey, Sequence[socket]]
"""The sockets of frontends, one a worker each, in the workers' order."""


class Wanted(Protocol):
    """What a worker that starts must be told: all there is."""

    def everything(self) -> tuple[Delta, Sockets]:
        """The present state as one delta, with the sockets of everything that listens."""


class Delivery(Protocol):
    """How the workers learn what changes. Deltas arrive in order; `width` is how many sockets a frontend needs."""

    @property
    def width(self) -> int: ...

    def send(self, delta: Delta, sockets: Sockets) -> None:
        """Deliver a delta, with sockets for each frontend that is new. The caller keeps its end of them."""

    def close(self, sockets: Iterable[socket]) -> None:
        """Close the caller's end of sockets, once no worker waits for them any more."""

    def when_applied(self, callback: Callable[[], None]) -> None:
        """Call back when every worker that lives has applied, and counted, all that was sent until now; at once if it
        has. A worker that does not is ended, so this is always called."""


class DataPlane(Delivery, Protocol):
    """One or more workers."""

    @property
    def table(self) -> SharedTable:
        """Where the workers count."""

    def hold(self, descriptors: int) -> None:
        """The control process opened so many descriptors beyond its reserve or, below zero, closed them: a data plane
        that shares its limit has so many less."""

    async def start(self, wanted: Wanted) -> None:
        """Begin; `wanted` is asked whenever a worker starts. Raises StartupError where there can be no worker."""

    async def watch(self) -> None:
        """Replace workers that die or hang, until cancelled; comes after the start."""

    async def ask(self, question: Question) -> Mapping[int, Answer]:
        """What every worker answers, by its index; one that is not there, or does not answer in time, says nothing."""

    def reopen_access_log(self) -> None:
        """Open the file of the access log anew, where it is one: the old one may have been renamed."""

    def workers(self) -> tuple[WorkerReport, ...]:
        """Each worker of this moment."""

    async def stop_accepting(self, sockets: Iterable[socket]) -> int:
        """Take the TCP clients that wait and no more; gives how many connections are open then. `sockets` is the
        caller's end of all that accepts, which is closed here."""

    async def empty(self) -> None:
        """Wait until no connection is open in any worker."""

    async def end_all(self, reason: CloseReason) -> int:
        """End everything that is open, with this reason; gives how many connections that were. SHUTDOWN is for at once:
        a worker that does not answer within a moment is not waited for."""

    async def stop(self) -> None:
        """Let go of everything; also after a start that failed."""
