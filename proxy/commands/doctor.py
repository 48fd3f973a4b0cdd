"""`svcproxy doctor`: what this machine permits, what is in the way of which path, and what to do.

Invariant: it changes nothing and opens no port for longer than it takes to see that it can be had.
"""

import argparse
import textwrap
from collections.abc import Iterable, Mapping
from typing import TextIO

import msgspec

from proxy import __version__
from proxy.configuration.flags import add_configuration_flags, configuration_from
from proxy.configuration.variables import filled_up
from proxy.doctor.findings import Finding, State, findings
from proxy.doctor.machine import Machine, look
from proxy.startup_error import StartupError

_WIDTH = 100
_EPILOG = """\
It takes the flags of svcproxy run, and says whether what they ask for is there.

exit status:
  0  what the configuration asks for is there
  1  it is not
  2  a mistake in arguments or configuration
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add_configuration_flags(parser)
    parser.add_argument("-o", "--output", metavar="FORMAT", choices=("json",), help="json")


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print the findings. Raises StartupError."""
    given = filled_up(arguments, environment)
    try:
        configuration = configuration_from(given.arguments, environment)
    except StartupError as error:
        raise given.named(error) from error
    places = [configuration.healthz_bind_address, configuration.metrics_bind_address]
    if configuration.standalone:
        places.append(configuration.api_bind_address)
    machine = look("auto" if configuration.shortcut == "off" else configuration.shortcut, places)
    found = findings(machine, configuration)
    failed = sum(each.state is State.FAILED for each in found)
    if arguments.output:
        output.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        output.write(f"{_about(machine)}\n\n{_lines(found)}\n{_summary(failed)}\n")
    return 1 if failed else 0


def _about(machine: Machine) -> str:
    who = "root" if machine.user == 0 else f"user {machine.user}"
    return f"svcproxy {__version__} on Linux {machine.kernel}, Python {machine.python}, as {who}"


def _lines(found: Iterable[Finding]) -> str:
    lines = []
    for each in found:
        head = f"{each.state.value:<5}{each.subject:<14}"
        lines += textwrap.wrap(f"{head}{each.text}", _WIDTH, subsequent_indent=" " * len(head))
        if each.remedy:
            inner = " " * len(head)
            lines += textwrap.wrap(f"-> {each.remedy}", _WIDTH, initial_indent=inner, subsequent_indent=f"{inner}   ")
    return "".join(f"{line}\n" for line in lines)


def _summary(failed: int) -> str:
    if not failed:
        return "What the configuration asks for is there."
    return f"{failed} {'thing' if failed == 1 else 'things'} that the configuration asks for cannot be had here."
