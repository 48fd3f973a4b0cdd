"""Capture: how the clients of a frontend come to the workers' sockets.

Invariant: the reconciler sees no difference between the ways.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from socket import socket
from typing import Protocol

from proxy.capture.drop_meter import DropCause
from proxy.plan.frontend import Frontend, FrontendKey, Pool
from proxy.workers.data_plane import Delivery, Sockets


class Captured(Protocol):
    """One frontend whose clients are taken."""

    @property
    def sockets(self) -> Sequence[socket]:
        """The frontend's own, one a worker in the workers' order; none where shared ones serve it."""

    @property
    def fault(self) -> OSError | None:
        """Why the frontend's clients are not served as `settle` was asked to, if so; its text is for people. Final once
        what was settled is in force."""

    @property
    def drops(self) -> bool:
        """Whether any packet was to be dropped up to now."""

    def settle(self, frontend: Frontend, pool: Pool) -> None:
        """Let clients in, refuse or ignore them, filter and steer them, as the frontend and its pool ask for. What
        cannot be done is the `fault`, keeps clients out, and is tried again with the next call."""

    def take_drops(self) -> Counter[DropCause]:
        """How many packets were dropped since the last call; not to be asked any more after `leave`."""

    def leave(self) -> None:
        """The frontend is about to go: before the data plane hears of it, so that no client is let in afterwards."""

    def close(self) -> None:
        """Close the control process's end of the sockets."""


class Capture(Protocol):
    """One way for all frontends."""

    @property
    def shared(self) -> Sockets:
        """Sockets that serve every frontend without own ones, by the address that they are bound to."""

    def expect(self, frontends: int) -> None:
        """So many will be opened now, one after the other, before the data plane is `told`."""

    def open(self, key: FrontendKey, shared: bool, routed: bool) -> Captured:
        """Take a frontend's clients. `shared` is for a port that another frontend of this process has under another
        address, `routed` for an address that is local by a route alone. Raises OSError as bind(2) does."""

    def told(self, data_plane: Delivery, then: Callable[[], None]) -> None:
        """The data plane was told of what was opened and settled; calls `then` when that is in force."""

    def stop(self, protocol: str) -> None:
        """Refuse new clients of the protocol from now on."""

    def close(self) -> None:
        """Let go of everything."""
