"""`svcproxy version`: the version of this program, and of the proxy that runs.

Invariant: the own version is printed whether or not a proxy answers.
"""

import argparse
from collections.abc import Mapping
from typing import TextIO

from proxy import __version__
from proxy.admin.api_answers import VersionAnswer
from proxy.client.admin_api import NotFoundError, add_server_flags, admin_api
from proxy.startup_error import StartupError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", action="store_true", help="this program's alone; no proxy is asked")
    add_server_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print; exit status 1 where no proxy says its version."""
    print(f"Client Version: {__version__}", file=output)
    if arguments.client:
        return 0
    try:
        answer = admin_api(arguments, environment).get("version", VersionAnswer)
    except (NotFoundError, StartupError) as error:
        output.flush()
        print(error, file=errors)
        return 1
    print(f"Server Version: {answer.version}", file=output)
    return 0
