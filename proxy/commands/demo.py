"""`svcproxy demo`: sample pods, sample Services and the real proxy, to see it work with one command.

Joins the room `demo` to the proxy's main job. Invariant: nothing outlives the command but what --state-dir keeps.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
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
from proxy.demo.demo import demonstrate
from proxy.demo.manifests import DemoManifestError, copy_manifests
from proxy.demo.own_command import own_command
from proxy.demo.places import Places
from proxy.demo.port_check import PortUnavailableError

_NODE_PORTS = range(30000, 32768)
_GRACE_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node-port", metavar="PORT", type=_node_port, help="myapp's node port (30080)")
    parser.add_argument(
        "--state-dir", metavar="DIR", help="keep manifests and the objects of the API in DIR (nothing is kept)"
    )
    address = partial(parser.add_argument, metavar="IP:PORT")
    address("--metrics-bind-address", help="metrics and admin (127.0.0.1:10249)")
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
        with _place(arguments.state_dir) as place:
            return _run_in(place, arguments, output, errors, environment)
    except (DemoManifestError, PortUnavailableError) as error:
        print(f"svcproxy: {error}", file=errors)
        return 1


def _run_in(
    place: Path, arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]
) -> int:
    manifests = place / "manifests"

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
    copy_manifests(manifests, arguments.node_port)
    places = Places(
        manifests=manifests,
        kubeconfig=Path(first.state_directory, FILE_NAME),
        command=own_command(sys.argv[0], sys.executable),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(demonstrate(places, output, partial(run_proxy, first, configuration, errors)))


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
    with tempfile.TemporaryDirectory(prefix="svcproxy-demo-") as temporary:
        yield Path(temporary)
