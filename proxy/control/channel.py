"""The way from the control process to a data-plane worker: encoded messages and the sockets that go with them.

Imports the data plane. Invariant: a worker learns nothing except what passed through here as msgpack and descriptors,
so that it makes no difference to it where it runs.
"""

from collections.abc import Mapping
from socket import socket
from typing import Protocol

import msgspec

from proxy.dataplane.worker import Worker
from proxy.plan.frontend import Delta, FrontendKey


class Channel(Protocol):
    """Delivers deltas in order."""

    def send(self, delta: Delta, sockets: Mapping[FrontendKey, socket]) -> None:
        """Deliver a delta with one socket for each frontend that is new; the sockets are the worker's afterwards."""
        ...


class LocalChannel:
    """A worker in this very process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Delta)

    def send(self, delta: Delta, sockets: Mapping[FrontendKey, socket]) -> None:
        self._worker.apply(self._decoder.decode(self._encoder.encode(delta)), sockets)
