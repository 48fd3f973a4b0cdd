"""BindCapture: each frontend has sockets of its own, bound to its address and port. Needs no privilege.

Invariant: what the kernel would refuse for want of descriptors is refused here before, so that some are left for
connections and for the control process.
"""

import errno
from collections.abc import Callable
from os import strerror

from proxy.capture.listening_group import ListeningGroup, open_group
from proxy.plan.frontend import FrontendKey
from proxy.workers.data_plane import Delivery, Sockets


class BindCapture:
    """Opens `width` sockets a frontend, as long as their descriptors are below `most`."""

    def __init__(self, width: int, most: int) -> None:
        self.width = width
        self.most = most

    @property
    def shared(self) -> Sockets:
        return {}

    def expect(self, frontends: int) -> None:
        """Each bind says for itself whether the port is free."""

    def open(self, key: FrontendKey, shared: bool, routed: bool) -> ListeningGroup:
        group = open_group(key, self.width, shared=shared, routed=routed)
        # The kernel gives the lowest number that is free, so the number says how many are taken.
        if group.sockets[-1].fileno() >= self.most:
            group.close()
            raise OSError(errno.EMFILE, strerror(errno.EMFILE))
        return group

    def told(self, data_plane: Delivery, then: Callable[[], None]) -> None:
        """A bound socket listens at once: who comes before the workers know of it waits in its queue."""
        then()

    def stop(self, protocol: str) -> None:
        """The sockets close, which refuses."""

    def close(self) -> None:
        """The sockets are the frontends'."""
