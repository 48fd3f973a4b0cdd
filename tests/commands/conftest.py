"""Servers that answer as the running proxy does, and the commands run against them."""

import io
from collections.abc import Iterator

import pytest

from proxy.cli import main
from tests.commands.answering import Answering, Answers, Run, Start
from tests.commands.answers import ANSWERS, Get


@pytest.fixture
def answering() -> Iterator[Start]:
    """Starts servers."""
    started: list[Answering] = []

    def start(answers: Answers) -> Answering:
        started.append(Answering(answers))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def run() -> Run:
    """Runs svcproxy against a server: exit status, output, errors."""

    def run(server: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
        output, errors = io.StringIO(), io.StringIO()
        status = main(arguments, output, errors, {"SVCPROXY_SERVER": server, **environment})
        return status, output.getvalue(), errors.getvalue()

    return run


@pytest.fixture
def proxy(answering: Start) -> Answering:
    return answering(dict(ANSWERS))


@pytest.fixture
def get(proxy: Answering, run: Run) -> Get:
    """Run the command: exit status, output, errors."""
    return lambda *arguments, server=proxy.address: run(server, "get", *arguments)
