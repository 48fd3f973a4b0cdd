"""The command line: which command runs, and what a mistake looks like."""

import argparse
import io
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TextIO

import pytest

from proxy import __version__
from proxy.cli import COMMANDS, main
from proxy.startup_error import StartupError


def _main(*arguments: str) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    output, errors = io.StringIO(), io.StringIO()
    return main(arguments, output, errors, {"HOME": "/home/me"}), output.getvalue(), errors.getvalue()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """A stand-in for `svcproxy get`, which records what it is asked and fails as it is told."""
    calls: list[str | None] = []

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("what", nargs="?")

    def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
        calls.append(arguments.what)
        if arguments.what == "mistake":
            raise StartupError("a: is wrong: correct a")
        if arguments.what == "interrupt":
            raise KeyboardInterrupt
        output.write(f"got {arguments.what} for {environment['HOME']}\n")
        return 1 if arguments.what == "problem" else 0

    command = ModuleType("proxy.commands.get")
    command.__dict__.update(add_arguments=add_arguments, run=run)
    monkeypatch.setitem(sys.modules, "proxy.commands.get", command)
    return calls


def test_a_command_gets_its_arguments_and_surroundings_and_gives_the_status(calls: list[str | None]) -> None:
    assert _main("get", "services") == (0, "got services for /home/me\n", "")
    assert _main("get", "problem") == (1, "got problem for /home/me\n", "")


def test_a_mistake_is_one_line_and_status_2(calls: list[str | None]) -> None:
    assert _main("get", "mistake") == (2, "", "svcproxy: a: is wrong: correct a\n")


def test_an_interrupt_is_no_traceback(calls: list[str | None]) -> None:
    assert _main("get", "interrupt") == (130, "", "")


def test_unknown_arguments_are_one_line(calls: list[str | None]) -> None:
    assert _main("get", "--wide") == (
        2,
        "",
        "svcproxy: unrecognized arguments: --wide (see svcproxy get --help)\n",
    )
    assert calls == []


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_a_command_names_its_arguments(calls: list[str | None], flag: str) -> None:
    status, output, errors = _main("get", flag)
    assert (status, errors, calls) == (0, "", [])
    assert output.startswith("usage: svcproxy get [-h] [what]")


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",), ("help",)])
def test_help_lists_every_command(arguments: tuple[str, ...]) -> None:
    status, output, errors = _main(*arguments)
    assert (status, errors) == (0, "")
    assert all(f"  {name:<13} {summary}\n" in output for name, summary in COMMANDS.items())


def test_the_version_is_told() -> None:
    assert _main("--version") == (0, f"svcproxy {__version__}\n", "")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("chek", 'unknown command "chek": did you mean "check"?'),
        (
            "xyz",
            f'unknown command "xyz": the commands are {", ".join(COMMANDS)}',
        ),
        (
            "--xyz",
            f'unknown argument "--xyz": the commands are {", ".join(COMMANDS)}',
        ),
    ],
)
def test_an_unknown_command_is_told_the_nearest(argument: str, message: str) -> None:
    assert _main(argument) == (2, "", f"svcproxy: {message}\n")


@pytest.mark.parametrize("arguments", [["run", "--manifests", "/tmp/d\udcff"], ["get", "svc", "\udcff"], ["\udcff"]])
def test_an_argument_that_is_not_utf_8_is_one_line(arguments: list[str]) -> None:
    errors = io.StringIO()
    assert main(arguments, io.StringIO(), errors, {}) == 2
    (line,) = errors.getvalue().splitlines()
    assert line.endswith("\\xff is not UTF-8: rename it, or name it otherwise")
