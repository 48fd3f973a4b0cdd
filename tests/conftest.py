"""For every test: the marker `requires`, logging as it was before, and hypothesis without time limits.

Invariant: a test whose program is missing is skipped by that program's name, never passed or failed.
"""

import logging
import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A slow machine must not turn a test red.
settings.register_profile("svcproxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("svcproxy")

_SYSTEM_DIRECTORIES = "/usr/local/sbin:/usr/sbin:/sbin"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires(*programs): skipped, by name, where a program is not installed")
    # Debian keeps nft, ip, haproxy and nginx out of an ordinary user's PATH.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_DIRECTORIES}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        missing = [program for program in marker.args if shutil.which(program) is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")


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
