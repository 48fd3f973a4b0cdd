"""`svcproxy api-resources`: the kinds that `svcproxy get` knows, in the columns of kubectl's command.

Invariant: no proxy is asked.
"""

import argparse
from collections.abc import Mapping
from typing import TextIO

from proxy.client.kinds import KINDS
from proxy.reports.table import render_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-headers", action="store_true", help="leave the headers of the columns out")


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print the table."""
    rows = [(kind.names[0], ",".join(kind.names[1:]), str(kind.namespaced).lower()) for kind in KINDS]
    text = render_table(("NAME", "SHORTNAMES", "NAMESPACED"), rows)
    output.write(text.partition("\n")[2] if arguments.no_headers else text)
    return 0
