"""For every test: the markers `requires` and `long`, logging as it was before, hypothesis without time limits, and how
many test processes `-n auto` means.

Invariant: a test whose program is missing is skipped by that program's name, never passed or failed.
"""

import ctypes
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import proxy
from proxy.dataplane import reactor
from proxy.workers.machine_share import default_workers
from tests.lane import this_lane

# A slow machine must not turn a test red.
_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run, so that a change is judged by itself; `explore` looks for new ones.
settings.register_profile("svcproxy", _COMMON, derandomize=True)
settings.register_profile("explore", _COMMON, max_examples=1000)
settings.load_profile("svcproxy")

pytest_plugins = ("tests.running_proxy", "tests.system.harness.fixtures", "tests.system.harness.outside")

_MOST_TEST_PROCESSES = 4
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_NETWORK_HERE = "/proc/thread-self/ns/net"
_SYSTEM_DIRECTORIES = "/usr/local/sbin:/usr/sbin:/sbin"

IS_COMPILED = not reactor.__file__.endswith(".py")
"""Whether the proxy under test is the compiled wheel."""


def pytest_report_header() -> str:
    """Say whether the sources or an installed wheel are tested."""
    return f"proxy: {Path(proxy.__file__).parent}{', compiled' if IS_COMPILED else ''}"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes so much longer than others that it is started first")
    config.addinivalue_line("markers", "requires(*programs): skipped, by name, where a program is not installed")
    config.addinivalue_line(
        "markers", "interpreted: replaces a method, which a class that mypyc compiled does not allow"
    )
    # Debian keeps nft, ip, haproxy and nginx out of an ordinary user's PATH.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_DIRECTORIES}"
    this_lane()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: as many test processes as CPUs, and none beside the first where there is only one."""
    workers = min(default_workers(), _MOST_TEST_PROCESSES)
    return workers if workers > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        missing = [program for program in marker.args if shutil.which(program) is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")
    if IS_COMPILED and item.get_closest_marker("interpreted"):
        pytest.skip("what it replaces is compiled")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test that configures the program's logging does so for itself alone."""
    loggers = [logging.getLogger(), logging.getLogger("proxy")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        for handler in set(logger.handlers) - set(handlers):
            logger.removeHandler(handler)


@pytest.fixture
def network_namespace() -> Iterator[None]:
    """This thread in a namespace with 10.96.0.0/16 and fd00:96::/112 local, and 127/8 as everywhere; clients may come
    from any of 10.96.0.0/16, fd00:96::73 and fd00:96::80."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open(_NETWORK_HERE, os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(_NEW_NETWORK) != 0:
        os.close(before)
        pytest.skip(f"not permitted: a network namespace ({os.strerror(ctypes.get_errno())})")
    try:
        for command in (
            "link set lo up",
            "route add local 10.96.0.0/16 dev lo",
            "-6 route add local fd00:96::/112 dev lo",
            # Nobody binds an IPv6 address that is local by a route alone.
            "-6 address add fd00:96::73/128 dev lo nodad",
            "-6 address add fd00:96::80/128 dev lo nodad",
        ):
            subprocess.run(["ip", *command.split()], check=True, timeout=20)
        yield
    finally:
        assert libc.setns(before, _NEW_NETWORK) == 0
        os.close(before)
