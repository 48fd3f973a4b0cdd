"""Routes to the service ranges, in a network namespace that ends with its process."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from proxy.capture.service_routes import ServiceRoutes

ROOT = Path(__file__).parents[2]


def in_a_namespace(script: str) -> list[str]:
    """The lines that the script prints where nothing but loopback exists; a warning is an error there as well."""
    if os.geteuid():
        pytest.skip("needs root: makes a network namespace")
    command = f"ip link set lo up && exec {sys.executable} -W error -c '{textwrap.dedent(script)}'"
    result = subprocess.run(
        ["unshare", "-n", "sh", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=50
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.requires("unshare", "ip")
def test_a_range_becomes_local_and_is_given_back() -> None:
    lines = in_a_namespace("""
        import socket, subprocess
        from proxy.capture.service_routes import ServiceRoutes
        def local():
            tables = (["ip", "route"], ["ip", "-6", "route"])
            shown = [subprocess.check_output([*table, "show", "table", "local"], text=True) for table in tables]
            return ("10.96.0.0/16" in shown[0], "fd00:96::/112" in shown[1])
        def binds(family, address):
            with socket.socket(family) as sock:
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, 78, 1)
                sock.bind((address, 0))
                sock.listen()
                with socket.create_connection(sock.getsockname()[:2], 5):
                    return True
        routes = ServiceRoutes()
        routes.add(["10.96.0.0/16", "fd00:96::/112"])
        print(*local())
        print(routes.covers("10.96.3.4"), routes.covers("fd00:96::9"), routes.covers("10.97.0.1"))
        print(binds(socket.AF_INET, "10.96.3.4"), binds(socket.AF_INET6, "fd00:96::9"))
        routes.remove()
        routes.remove()
        print(*local())
    """)
    assert lines == ["True True", "True True False", "True True", "False False"]


@pytest.mark.requires("unshare", "ip")
def test_a_route_that_was_there_before_stays() -> None:
    lines = in_a_namespace("""
        import subprocess
        from proxy.capture.service_routes import ServiceRoutes
        subprocess.run(["ip", "route", "add", "local", "10.96.0.0/16", "dev", "lo"], check=True)
        routes = ServiceRoutes()
        routes.add(["10.96.0.0/16"])
        print(routes.covers("10.96.0.1"))
        routes.remove()
        print("10.96.0.0/16" in subprocess.check_output(["ip", "route", "show", "table", "local"], text=True))
    """)
    assert lines == ["True", "True"]


@pytest.mark.requires("unshare", "ip")
def test_a_range_that_may_not_be_routed_is_said_and_costs_nothing_else() -> None:
    lines = in_a_namespace("""
        import logging, os, sys
        # Read before the files may not be readable any more.
        import pyroute2
        from proxy.capture.service_routes import ServiceRoutes
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        os.setgid(65534)
        os.setuid(65534)
        routes = ServiceRoutes()
        routes.add(["10.96.0.0/16", "127.96.0.0/16"])
        print(routes.covers("10.96.0.1"), routes.covers("127.96.0.1"))
        routes.remove()
    """)
    said, covered = lines
    assert "ip route add local 10.96.0.0/16 dev lo" in said
    assert "Operation not permitted" in said
    assert covered == "False True"


@pytest.mark.requires("unshare", "ip")
def test_routes_can_be_made_from_a_thread_while_a_loop_runs() -> None:
    lines = in_a_namespace("""
        import asyncio, uvloop
        from proxy.capture.service_routes import ServiceRoutes
        async def main():
            routes = ServiceRoutes()
            await asyncio.to_thread(routes.add, ["10.96.0.0/16"])
            print(routes.covers("10.96.0.1"))
            await asyncio.to_thread(routes.remove)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    """)
    assert lines == ["True"]


def test_what_is_local_as_it_is_needs_no_route() -> None:
    routes = ServiceRoutes()
    assert not routes.covers("127.96.0.1")
    routes.add(["127.96.0.0/16"])
    assert routes.covers("127.96.255.254")
    assert not routes._added
    routes.remove()
