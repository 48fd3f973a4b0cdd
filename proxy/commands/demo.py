"""`svcproxy demo`: sample pods, sample Services and the real proxy, to see it work with one command.

Invariant: nothing outlives the command but what --state-dir keeps.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import uvloop
from msgspec.structs import replace

from proxy import logs
from proxy.apiserver.http.kubeconfig import FILE_NAME
from proxy.commands.run import run_proxy
from proxy.configuration.config import Configuration
from proxy.configuration.flags import configuration_from
from proxy.demo.demo import OnListening, RunProxy, demonstrate
from proxy.demo.free_ports import can_bind
from proxy.demo.manifests import DemoManifestError, copy_manifests
from proxy.demo.only_one import other_demo
from proxy.demo.own_command import own_command
from proxy.demo.places import Places
from proxy.demo.port_check import PortUnavailableError
from proxy.model.problem import Problem
from proxy.model.service import Service

_NODE_PORTS = range(30000, 32768)
_GRACE_SECONDS = 1.0
_USUAL_ADDRESS = ("127.0.0.1", 10249)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--node-port", metavar="PORT", type=_node_port, help="myapp's node port (30080, or the next that is free)"
    )
    parser.add_argument(
        "--state-dir", metavar="DIR", help="keep manifests and the objects of the API in DIR (nothing is kept)"
    )
    address = partial(parser.add_argument, metavar="IP:PORT")
    address("--metrics-bind-address", help="metrics and admin (127.0.0.1:10249, or any free port)")
    parser.add_argument("--empty", action="store_true", help="pods and no Service, to make one yourself")
    address("--healthz-bind-address", default="127.0.0.1:0", help="health (any free port of 127.0.0.1)")
    address("--api-bind-address", default="127.0.0.1:0", help="the API for kubectl (any free port of 127.0.0.1)")
    parser.add_argument("--dns", metavar="ADDR:PORT|off", help="where the names of Services are answered")
    parser.add_argument(
        "--shortcut",
        metavar="WHERE",
        default="auto" if os.geteuid() == 0 else "off",
        help="off, auto or a cgroup v2 directory: a kernel path for local clients (auto for root, else off)",
    )
    parser.add_argument("--log-format", metavar="FORMAT", help="auto, human or json (auto: human on a terminal)")
    parser.add_argument(
        "--log-level", metavar="LEVEL", default="warning", help="debug, info, warning or error (warning)"
    )
    parser.set_defaults(config=None, manifests=None)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Run until SIGINT or SIGTERM; 1 if a port or a manifest that the demo needs cannot be used.

    Raises StartupError.
    """
    try:
        with _place(arguments.state_dir) as place, other_demo() as other:
            return _run_in(place, arguments, other, output, errors, environment)
    except (DemoManifestError, PortUnavailableError) as error:
        print(f"svcproxy: {error}", file=errors)
        return 1


def _run_in(
    place: Path,
    arguments: argparse.Namespace,
    other: int,
    output: TextIO,
    errors: TextIO,
    environment: Mapping[str, str],
) -> int:
    manifests = place / "manifests"
    if arguments.metrics_bind_address is None and not can_bind("TCP", *_USUAL_ADDRESS):
        arguments = argparse.Namespace(**{**vars(arguments), "metrics_bind_address": "127.0.0.1:0"})

    def configuration() -> Configuration:
        return replace(
            configuration_from(arguments, environment),
            standalone=True,
            manifests=(str(manifests),),
            state_directory=str(place / "state"),
            grace=_GRACE_SECONDS,
            # One, so that the printed loop goes round the pods evenly: each worker has its own turn.
            workers=1,
        )

    first = configuration()
    logs.configure(first.log_format, first.log_level, errors)
    copy_manifests(manifests, arguments.node_port, empty=arguments.empty)
    places = Places(
        manifests=manifests,
        kubeconfig=Path(first.state_directory, FILE_NAME),
        command=own_command(sys.argv[0], sys.executable),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        proxy = _quiet_until_listening(partial(run_proxy, first, configuration, errors))
        return runner.run(demonstrate(places, output, proxy, other))


def _quiet_until_listening(run: RunProxy) -> RunProxy:
    """`run` without warnings in the log until everything listens: the announcement tells what is wrong."""

    async def run_quietly(on_listening: OnListening) -> int:
        handlers = tuple(logging.getLogger().handlers)
        levels = [handler.level for handler in handlers]

        def heard_again() -> None:
            for handler, level in zip(handlers, levels, strict=True):
                handler.setLevel(level)

        def announce(
            services: Iterable[Service], problems: Iterable[Problem], page: str, name_servers: Sequence[tuple[str, int]]
        ) -> None:
            heard_again()
            on_listening(services, problems, page, name_servers)

        for handler in handlers:
            handler.setLevel(logging.CRITICAL)
        try:
            return await run(announce)
        finally:
            heard_again()

    return run_quietly


def _node_port(text: str) -> int:
    if text.isdecimal() and int(text) in _NODE_PORTS:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a number from {_NODE_PORTS[0]} to {_NODE_PORTS[-1]}, not {text!r}")


@contextmanager
def _place(state_dir: str | None) -> Iterator[Path]:
    """The directory that the user chose, or one that goes with the demo."""
    if state_dir is not None:
        yield Path(state_dir).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="svcproxy-") as temporary:
        yield Path(temporary)
