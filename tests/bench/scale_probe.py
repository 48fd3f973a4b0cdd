"""ScaleProbe: the client and all endpoints of a large cluster in one process, so that it sees at once who was reached.

Imports `measurement` and the API server's numbers. Invariant: every wait is bounded; a connection counts for the
endpoint port that took it, not for what anybody says of it.
"""

import select
import socket
import time
from types import TracebackType
from typing import Self

from changing_api import ChangingAPI
from cluster_api import PORTS, service_address
from measurement import MeasurementFailedError

PATIENCE = 20.0
_NETWORK = "10.96.0.0"
_SERVICE_PORT, _TARGET_PORT = PORTS[0][1:]
_TARGETS = (_TARGET_PORT, _TARGET_PORT + 1)


class NotFollowedError(MeasurementFailedError):
    """A change did not take effect in time."""


class ScaleProbe:
    """Listens where every endpoint of the cluster is, on all addresses of this machine."""

    def __init__(self) -> None:
        self._listeners = {number: socket.create_server(("0.0.0.0", number), backlog=1024) for number in _TARGETS}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners.values():
            listener.close()

    def reached(self, service: int) -> int:
        """The target port that a new connection to the Service leads to. Raises OSError where it leads nowhere."""
        with socket.create_connection((service_address(_NETWORK, service), _SERVICE_PORT), PATIENCE):
            ready, _, _ = select.select(list(self._listeners.values()), [], [], PATIENCE)
            if not ready:
                raise NotFollowedError(f"no endpoint of service-{service} was reached within {PATIENCE:.0f} s")
            accepted, _ = ready[0].accept()
            accepted.close()
            return int(ready[0].getsockname()[1])

    def serves(self, service: int) -> bool:
        """Whether a connection to the Service leads anywhere."""
        try:
            self.reached(service)
        except OSError:
            return False
        return True

    def seconds_until_followed(self, service: int, api: ChangingAPI) -> float:
        """From the moment at which the API server writes a change to the first connection that meets its endpoints."""
        before = self.reached(service)
        sent = api.change(service)
        while self.reached(service) == before:
            if time.monotonic() - sent > PATIENCE:
                raise NotFollowedError(f"a change of service-{service} took no effect within {PATIENCE:.0f} s")
        return time.monotonic() - sent
