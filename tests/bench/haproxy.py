"""HAProxy as a peer, once as it comes and once tuned for forwarding TCP.

Imports only rooms of the benchmark. Invariant: one thread; the two differ by TUNING alone, and what every subject needs
(the connection limit, timeouts) is the same in both.
"""

from typing import ClassVar

from subject import LISTEN_ADDRESS, Place, Ports, Proxy

CONFIG = """\
global
    nbthread 1
    maxconn 6000
    {tuning_global}
defaults
    mode tcp
    balance roundrobin
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    {tuning_defaults}
listen bench
    bind {address}:{port}
{servers}
"""


class HAProxy(Proxy):
    """The defaults of the package."""

    name = "haproxy"
    speaks_udp = False
    tuning_global: ClassVar[tuple[str, ...]] = ()
    tuning_defaults: ClassVar[tuple[str, ...]] = ()

    def configure(self, place: Place, ports: Ports) -> list[str]:
        config = place.directory / f"{self.name.replace(' ', '-')}.cfg"
        servers = [f"    server s{n} {host}:{port}" for n, (host, port) in enumerate(place.backends.http)]
        config.write_text(
            CONFIG.format(
                tuning_global="\n    ".join(self.tuning_global),
                tuning_defaults="\n    ".join(self.tuning_defaults),
                address=LISTEN_ADDRESS,
                port=ports.tcp,
                servers="\n".join(servers),
            )
        )
        return ["haproxy", "-db", "-f", str(config)]


class TunedHAProxy(HAProxy):
    """Large buffers, splice with large pipes, larger batches of events."""

    name = "haproxy tuned"
    tuning_global = ("tune.bufsize 262144", "tune.pipesize 1048576", "tune.maxpollevents 512", "tune.maxaccept 256")
    tuning_defaults = ("option splice-auto", "option splice-request", "option splice-response")
