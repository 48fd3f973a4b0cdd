"""`svcproxy run`: serve the Services in directories of manifests, or of a cluster, until told to stop.

Joins the source to the proxy. Invariant: `run_proxy` is the one way in which a proxy starts, for the demo
as well.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

import uvloop

from proxy import logs
from proxy.configuration.config import Configuration
from proxy.configuration.flags import add_configuration_flags, configuration_from
from proxy.configuration.source_choice import check_source, open_source
from proxy.control.node_settings import node_name
from proxy.dataplane.access_log import AccessLog, access_log_to
from proxy.line_output import open_for_lines
from proxy.proxy import OnListening, Proxy
from proxy.startup_error import StartupError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Serve; exit status 0 after SIGTERM or SIGINT. Raises StartupError."""

    def reload() -> Configuration:
        return configuration_from(arguments, environment)

    configuration = reload()
    check_source(configuration)
    logs.configure(configuration.log_format, configuration.log_level, errors)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_proxy(configuration, reload, errors))


async def run_proxy(
    configuration: Configuration,
    reload: Callable[[], Configuration],
    errors: TextIO = sys.stderr,
    on_listening: OnListening | None = None,
) -> int:
    """Run a proxy on the configuration's source; gives the exit status. Raises StartupError."""
    with (
        open_source(configuration, node_name(configuration), os.environ) as source,
        _access_log(configuration, errors) as access_log,
    ):
        terminal = errors if errors.isatty() and configuration.log_format != "json" else None
        return await Proxy(configuration, source, reload, access_log, terminal).run(on_listening)


@contextlib.contextmanager
def _access_log(configuration: Configuration, errors: TextIO) -> Iterator[AccessLog | None]:
    """The access log that the configuration asks for. Each worker has one of its own; this one is the data plane's of
    this process, and shows that the file can be written."""
    if not configuration.access_log:
        yield None
        return
    try:
        own = configuration.access_log != "-"
        descriptor = open_for_lines(configuration.access_log) if own else errors.fileno()
    except OSError as error:
        message = f"--access-log: {configuration.access_log} cannot be written: {error.strerror}"
        raise StartupError(message) from error
    access_log = access_log_to(descriptor, configuration.log_format, configuration.access_log_sample)
    if own:
        os.close(descriptor)
    try:
        yield access_log
    finally:
        access_log.close()
