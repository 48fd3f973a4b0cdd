"""The command line: finds the command, and turns what stops it into one line and an exit status.

Imports a command's module only when that command is asked for, so that every start is cheap. Invariant: 0 is success,
1 is a problem found or a failure while running, 2 is a mistake in arguments, configuration or surroundings.
"""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn, Protocol, TextIO, cast

from proxy import __version__
from proxy.startup_error import StartupError

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "run": "serve the Services in directories of manifests, or of a cluster",
        "check": "say what is wrong with a configuration and manifests, without serving them",
        "demo": "sample pods, sample Services and the proxy, to see it work",
        "get": "show what the running proxy holds",
    }
)
_OK, _USAGE, _INTERRUPTED = 0, 2, 130


class Command(Protocol):
    """What a module in proxy/commands offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(
        self, arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]
    ) -> int: ...


class _UsageError(Exception):
    """Arguments that make no sense."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (see {self.prog} --help)")


def main(
    arguments: Sequence[str] | None = None,
    output: TextIO | None = None,
    errors: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run one command; the arguments default to those of the process. Returns the exit status."""
    output, errors = output or sys.stdout, errors or sys.stderr
    try:
        return _dispatch(sys.argv[1:] if arguments is None else arguments, output, errors, environment or os.environ)
    except (_UsageError, StartupError) as error:
        print(f"svcproxy: {error}", file=errors)
        return _USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED


def _dispatch(arguments: Sequence[str], output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        output.write(_help())
        return _OK
    if name == "--version":
        print(f"svcproxy {__version__}", file=output)
        return _OK
    if name not in COMMANDS:
        raise _UsageError(_unknown(name))
    command = cast("Command", importlib.import_module(f"proxy.commands.{name}"))
    parser = _Parser(prog=f"svcproxy {name}", description=f"{COMMANDS[name]}.", allow_abbrev=False, add_help=False)
    parser.add_argument("-h", "--help", action="store_true", help="show this and exit")
    command.add_arguments(parser)
    if {"-h", "--help"}.intersection(arguments[1:]):
        output.write(parser.format_help())
        return _OK
    return command.run(parser.parse_args(arguments[1:]), output, errors, environment)


def _help() -> str:
    commands = "".join(f"  {name:<8} {summary}\n" for name, summary in COMMANDS.items())
    return (
        "usage: svcproxy COMMAND [ARGUMENTS]\n\n"
        "A userspace L4 load-balancing proxy for Kubernetes Services.\n\n"
        f"{commands}\n"
        "  svcproxy COMMAND --help shows the arguments of a command, svcproxy --version the version.\n"
    )


def _unknown(name: str) -> str:
    what = "argument" if name.startswith("-") else "command"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"the commands are {', '.join(COMMANDS)}"
    return f'unknown {what} "{name}": {hint}'
