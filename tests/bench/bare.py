"""The bare relay as a subject: what a loop in Python can do that has no features.

Imports only rooms of the benchmark. Invariant: it is measured where it is asked for by name, and counts as no peer.
"""

import sys
from pathlib import Path

from subject import LISTEN_ADDRESS, Place, Ports, Proxy

SCRIPT = Path(__file__).with_name("bare_relay.py")


class BareLoop(Proxy):
    """TCP alone, and small messages alone."""

    name = "bare loop"
    speaks_udp = False

    def configure(self, place: Place, ports: Ports) -> list[str]:
        backends = [f"{host}:{port}" for host, port in place.backends.http]
        return [sys.executable, "-I", str(SCRIPT), f"{LISTEN_ADDRESS}:{ports.tcp}", *backends]
