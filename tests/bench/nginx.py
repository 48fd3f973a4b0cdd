"""nginx's stream module as a peer, once as it comes and once tuned.

Imports only rooms of the benchmark. Invariant: one worker; the two differ by their tuning alone, and what every subject
needs (the connection limit, timeouts) is the same in both.
"""

import os
from typing import ClassVar

from machine import NGINX_STREAM_MODULE
from subject import LISTEN_ADDRESS, Place, Ports, Proxy

CONFIG = """\
{user}load_module {module};
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.error.log warn;
worker_rlimit_nofile 19000;
events {{ worker_connections 18000; {tuning_events} }}
stream {{
    proxy_timeout 600s;
    {tuning_stream}
    upstream http {{
{servers}
    }}
    upstream echo {{ server {udp_host}:{udp_port}; }}
    server {{ listen {address}:{tcp}{tuning_tcp}; proxy_pass http; }}
    server {{ listen {address}:{udp} udp{tuning_udp}; proxy_pass echo; }}
}}
"""


class Nginx(Proxy):
    """The defaults of the package."""

    name = "nginx"
    tuning_events: ClassVar[str] = ""
    tuning_stream: ClassVar[str] = ""
    tuning_tcp: ClassVar[str] = ""
    tuning_udp: ClassVar[str] = ""

    def configure(self, place: Place, ports: Ports) -> list[str]:
        directory = place.directory
        config = directory / f"{self.name.replace(' ', '-')}.conf"
        config.write_text(
            CONFIG.format(
                user="user root;\n" if os.geteuid() == 0 else "",
                module=NGINX_STREAM_MODULE,
                directory=directory,
                tuning_events=self.tuning_events,
                tuning_stream=self.tuning_stream,
                tuning_tcp=self.tuning_tcp,
                tuning_udp=self.tuning_udp,
                servers="\n".join(f"        server {host}:{port};" for host, port in place.backends.http),
                udp_host=place.backends.udp[0],
                udp_port=place.backends.udp[1],
                address=LISTEN_ADDRESS,
                tcp=ports.tcp,
                udp=ports.udp,
            )
        )
        return ["nginx", "-p", str(directory), "-e", str(directory / "nginx.error.log"), "-c", str(config)]


class TunedNginx(Nginx):
    """Accepts in batches from a deep reuseport queue without the accept mutex, forwards through 256 KiB buffers."""

    name = "nginx tuned"
    tuning_events = "use epoll; multi_accept on; accept_mutex off;"
    tuning_stream = "proxy_buffer_size 256k;"
    tuning_tcp = " reuseport backlog=4096 so_keepalive=off"
    tuning_udp = " reuseport rcvbuf=4m"
