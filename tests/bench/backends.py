"""The backends that every subject forwards to: one nginx process for HTTP, one Python process for UDP.

Invariant: the same two processes serve every subject of a run, on the load's core, and answer before `running` yields.
Far backends are two more, in a network namespace of their own.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import wait
from child import Child
from far_network import FarNetwork
from machine import Cores

ADDRESSES = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
UDP_ECHO = Path(__file__).with_name("udp_echo.py")
BIG_FILE_BYTES = 256 * 2**20
_FAR_HTTP_PORT = 8080
_FAR_UDP_PORT = 5353

CONFIG = """\
{user}daemon off;
worker_processes 1;
pid {directory}/backend.pid;
error_log {directory}/backend.error.log warn;
worker_rlimit_nofile 19000;
events {{ worker_connections 18000; multi_accept on; accept_mutex off; }}
http {{
    access_log off;
    server_tokens off;
    sendfile on;
    sendfile_max_chunk 1m;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    uwsgi_temp_path {directory}/uwsgi;
    server {{
{listens}
        location = / {{ return 200 "Hello from $server_addr\\n"; }}
        location = /big {{ root {directory}; }}
    }}
}}
"""


class Backends(msgspec.Struct, frozen=True):
    """Where the backends answer: HTTP on every one of `addresses` at `http_port`, UDP echo on `udp`; and their pids."""

    addresses: tuple[str, ...]
    http_port: int
    udp: tuple[str, int]
    pids: tuple[int, ...]

    @property
    def http(self) -> tuple[tuple[str, int], ...]:
        return tuple((address, self.http_port) for address in self.addresses)


def free_port(address: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(directory: Path, cores: Cores) -> Iterator[Backends]:
    """Start both backends and wait until they answer. Raises ChildFailedError if one does not."""
    http_port = free_port(ADDRESSES[0])
    udp = (ADDRESSES[0], free_port(ADDRESSES[0], socket.SOCK_DGRAM))
    with _serving(directory, cores, ADDRESSES, http_port, udp) as near:
        yield near


@contextmanager
def running_far(directory: Path, cores: Cores, network: FarNetwork) -> Iterator[Backends]:
    """The same on the addresses of another network, where every port is free."""
    directory.mkdir()
    udp = (network.addresses[0], _FAR_UDP_PORT)
    with _serving(directory, cores, network.addresses, _FAR_HTTP_PORT, udp, network.enter) as far:
        yield far


@contextmanager
def _serving(
    directory: Path,
    cores: Cores,
    addresses: tuple[str, ...],
    http_port: int,
    udp: tuple[str, int],
    enter: tuple[str, ...] = (),
) -> Iterator[Backends]:
    config = directory / "backend.conf"
    config.write_text(_config(directory, addresses, http_port))
    with (directory / "big").open("wb") as big:
        big.truncate(BIG_FILE_BYTES)
    nginx = [*enter, "nginx", "-p", str(directory), "-e", str(directory / "backend.error.log"), "-c", str(config)]
    echo = [*enter, sys.executable, str(UDP_ECHO), udp[0], str(udp[1])]
    with (
        Child("backend nginx", nginx, cores.load, directory / "backend.log") as http_child,
        Child("UDP echo", echo, cores.load, directory / "udp_echo.log") as udp_child,
    ):
        for address in addresses:
            wait.until_http_answers(http_child, (address, http_port))
        wait.until_udp_answers(udp_child, udp)
        yield Backends(addresses, http_port, udp, http_child.pids() + udp_child.pids())


def _config(directory: Path, addresses: tuple[str, ...], port: int) -> str:
    listens = "\n".join(f"        listen {address}:{port} reuseport backlog=4096;" for address in addresses)
    # A worker that drops root could not read the benchmark's private directory.
    user = "user root;\n" if os.geteuid() == 0 else ""
    return CONFIG.format(user=user, directory=directory, listens=listens)
