"""`svcproxy run`: serve the Services in manifests, in lines of the command or of a cluster, until told to stop.

Invariant: `run_proxy` is the one way in which a proxy starts, for the demo as well.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TextIO

import uvloop

from proxy import logs
from proxy.configuration.config import Configuration
from proxy.configuration.flags import add_configuration_flags, configuration_from
from proxy.configuration.source_choice import check_source, open_source
from proxy.configuration.variables import filled_up
from proxy.control.needed_capabilities import drop_privileges, tell_privileges
from proxy.control.node_settings import node_name
from proxy.dataplane.access_log import AccessLog, access_log_to
from proxy.line_output import open_for_lines
from proxy.logs import fields
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.plan.addresses import with_port
from proxy.proxy import OnListening, Proxy
from proxy.reports.table import render_table
from proxy.sources.service_line import ServiceLine, parse_service_line
from proxy.startup_error import StartupError

_EPILOG = """\
Every flag is a variable as well: SVCPROXY_STATE_DIR is --state-dir. A flag wins over its variable, and that wins over
the file of --config.

examples:
  svcproxy run --service web:8000=127.0.0.1:3000,:3001,:3002     three processes behind http://127.0.0.1:8000
  svcproxy run DIR                                               the Services in the manifests below DIR
  svcproxy run --standalone                                      what kubectl applies
"""

_POD = (
    "kubectl run web-1 --image=none --labels=app=web "
    """--overrides='{"status":{"podIP":"127.0.40.1"}}'"""
)

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add_configuration_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Serve; exit status 0 after SIGTERM or SIGINT. Raises StartupError."""
    given = filled_up(arguments, environment)

    def reload() -> Configuration:
        return configuration_from(given.arguments, environment)

    try:
        configuration = reload()
        check_source(configuration)
        logs.configure(configuration.log_format, configuration.log_level, errors)

        def greet(services: Iterable[Service], problems: Iterable[Problem], page: str, names: object) -> None:
            _greet(configuration, len(tuple(services)), page, output)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run_proxy(configuration, reload, errors, greet))
    except StartupError as error:
        raise given.named(error) from error


def _greet(configuration: Configuration, services: int, page: str, output: TextIO) -> None:
    """Say what to do next: where to look, and how a first Service comes to be."""
    if page:
        _log.info("look at it in a browser", extra=fields(url=page))
    if configuration.standalone:
        _log.info("a Pod is any process of this machine", extra=fields(next=_POD))
    if not services:
        _log.info("there is no Service yet", extra=fields(next=_next_step(configuration)))
    try:
        output.write(_service_table(map(parse_service_line, configuration.services)))
        output.flush()
    except OSError as error:
        _log.warning("standard output cannot be written", extra=fields(error=error.strerror))


def _service_table(lines: Iterable[ServiceLine]) -> str:
    """Where clients of this machine find each Service of --service, and what is behind it."""
    rows = [
        (
            line.name,
            f"http://{with_port(*line.address)}" if line.protocol == "TCP" else f"{with_port(*line.address)}/udp",
            ", ".join(with_port(*each) for each in line.endpoints),
        )
        for line in lines
    ]
    return render_table(("SERVICE", "ADDRESS", "ENDPOINTS"), rows) if rows else ""


def _next_step(configuration: Configuration) -> str:
    if configuration.standalone:
        return "kubectl create service nodeport web --tcp=80:8080"
    if configuration.follows_cluster:
        return "kubectl get services -A shows what the cluster has"
    return f"save one below {configuration.manifests[0]}; svcproxy init DIR writes an example"


async def run_proxy(
    configuration: Configuration,
    reload: Callable[[], Configuration],
    errors: TextIO = sys.stderr,
    on_listening: OnListening | None = None,
) -> int:
    """Run a proxy on the configuration's source; gives the exit status. Raises StartupError."""
    drop_privileges(configuration)
    with (
        open_source(configuration, node_name(configuration), os.environ) as source,
        _access_log(configuration, errors) as access_log,
    ):
        tell_privileges()
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
