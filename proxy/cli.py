"""The command line: finds the command, and turns what stops it into one line and an exit status.

Invariant: 0 is success, 1 is a problem found or a failure while running, 2 is a mistake in arguments, configuration or
surroundings.
"""

import argparse
import difflib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import NoReturn, Protocol, TextIO, cast

from proxy import __version__
from proxy.plain_text import plain
from proxy.startup_error import NoFirstStateError, StartupError

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "run": "serve the Services in manifests, in lines of the command, or of a cluster",
        "check": "say what is wrong with a configuration and manifests, without serving them",
        "doctor": "say what this machine permits, what is missing, and what to do",
        "init": "write a directory of commented example manifests to begin with",
        "demo": "sample pods, sample Services and the proxy, to see it work",
        "get": "show what the running proxy holds",
        "describe": "show one Service of the running proxy in full",
        "top": "watch connections and bytes a second, by Service and by endpoint",
        "explain": "say who would serve a client's next connection, and why",
        "api-resources": "list the kinds that get knows",
        "version": "show the version of this program and of the proxy that runs",
        "cleanup": "remove from the kernel what a proxy left there",
        "completion": "print what makes bash, zsh or fish complete the commands",
    }
)
_SERVING = ("run", "demo")
_UNWRITABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF))
_OK, _FAILED, _USAGE, _INTERRUPTED = 0, 1, 2, 130


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
    given = sys.argv[1:] if arguments is None else arguments
    try:
        status = _dispatch(given, output, errors, os.environ if environment is None else environment)
        output.flush()
        return status
    except (_UsageError, StartupError) as error:
        print(f"svcproxy: {plain(str(error))}", file=errors)
        return _FAILED if isinstance(error, NoFirstStateError) else _USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        _give_up_output()
        return _FAILED
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        _give_up_output()
        print(f"svcproxy: standard output cannot be written: {error.strerror}", file=errors)
        return _FAILED


def _give_up_output() -> None:
    """Without this, Python would try to write what is left at its exit, and complain."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process


def _dispatch(arguments: Sequence[str], output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    for argument in arguments:
        _require_text(argument)
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        output.write(_help())
        return _OK
    if name == "--version":
        print(f"svcproxy {__version__}", file=output)
        return _OK
    if name not in COMMANDS:
        raise _UsageError(_unknown(name))
    with _hangups_kept() if name in _SERVING else nullcontext():
        return _run(name, arguments, output, errors, environment)


def _require_text(argument: str) -> None:
    """Paths and names are told in JSON, which has no form for a byte that is no UTF-8. Raises _UsageError."""
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise _UsageError(f"{plain(argument)} is not UTF-8: rename it, or name it otherwise") from error


def _run(name: str, arguments: Sequence[str], output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    command = _command(name)
    parser = parser_of(name)
    if {"-h", "--help"}.intersection(arguments[1:]):
        output.write(parser.format_help())
        return _OK
    # Intermixed: a NAME may follow flags, as with kubectl.
    return command.run(parser.parse_intermixed_args(arguments[1:]), output, errors, environment)


@contextmanager
def _hangups_kept() -> Iterator[None]:
    """A SIGHUP is kept until the proxy handles it: before that, which takes half a second, it would end the process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of one of COMMANDS."""
    parser = _Parser(
        prog=f"svcproxy {name}",
        description=f"{COMMANDS[name]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this and exit")
    _command(name).add_arguments(parser)
    return parser


def _command(name: str) -> Command:
    return cast("Command", importlib.import_module(f"proxy.commands.{name.replace('-', '_')}"))


def _help() -> str:
    commands = "".join(f"  {name:<13} {summary}\n" for name, summary in COMMANDS.items())
    return (
        "usage: svcproxy COMMAND [ARGUMENTS]\n\n"
        "A userspace L4 load-balancing proxy for Kubernetes Services.\n\n"
        f"{commands}\n"
        "  svcproxy COMMAND --help shows the arguments of a command, svcproxy --version the version.\n\n"
        "exit status:\n"
        "  0  success\n"
        "  1  problems were found, something that was named is not there, or a failure while running\n"
        "  2  a mistake in arguments, configuration or surroundings\n"
    )


def _unknown(name: str) -> str:
    what = "argument" if name.startswith("-") else "command"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"the commands are {', '.join(COMMANDS)}"
    return f'unknown {what} "{name}": {hint}'
