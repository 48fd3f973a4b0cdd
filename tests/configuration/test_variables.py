"""Flags, their variables, and the file: which wins, and which a message names."""

import argparse

import pytest

from proxy.configuration.config import Configuration
from proxy.configuration.flags import add_configuration_flags, configuration_from
from proxy.configuration.variables import Given, filled_up, variable_of
from proxy.startup_error import StartupError


def given(*arguments: str, **variables: str) -> Given:
    parser = argparse.ArgumentParser()
    add_configuration_flags(parser)
    return filled_up(parser.parse_args(arguments), variables)


def configuration(*arguments: str, **variables: str) -> Configuration:
    return configuration_from(given(*arguments, **variables).arguments, {"HOME": "/home/me"})


def test_every_flag_has_its_variable() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_configuration_flags(parser)
    for action in parser._actions:
        for flag in action.option_strings:
            assert given(**{variable_of(flag): "true"}).variables == {flag: variable_of(flag)}


def test_a_flag_wins_over_its_variable() -> None:
    assert configuration("--grace", "1s", SVCPROXY_GRACE="2s", SVCPROXY_SCHEDULER="lc") == Configuration(
        grace=1.0, scheduler="lc", state_directory="/home/me/.local/state/svcproxy"
    )


def test_a_variable_of_many_values_has_them_as_a_shell_would() -> None:
    found = configuration(SVCPROXY_MANIFESTS="a b:c", SVCPROXY_SERVICE="web:80=:81 dns:53/udp=:54,:55")
    assert found.manifests == ("a b", "c")
    assert found.services == ("web:80=:81", "dns:53/udp=:54,:55")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), ("0", False)])
def test_a_variable_switches_on_and_off(text: str, value: bool) -> None:
    assert configuration(SVCPROXY_STANDALONE=text).standalone is value


def test_a_variable_that_is_neither_is_refused() -> None:
    with pytest.raises(StartupError, match=r'\$SVCPROXY_IN_CLUSTER: must be true or false, not "maybe"'):
        given(SVCPROXY_IN_CLUSTER="maybe")


def test_an_empty_variable_is_none() -> None:
    assert given(SVCPROXY_GRACE="").variables == {}


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("--grace: invalid", "$SVCPROXY_GRACE: invalid"),
        ("correct --manifests", "correct --manifests"),
        ("--grace-period is another", "--grace-period is another"),
        ("/etc/a.yaml: cannot be read", "$SVCPROXY_CONFIG: /etc/a.yaml: cannot be read"),
    ],
)
def test_a_message_names_the_variable_where_the_value_came_from_it(message: str, named: str) -> None:
    found = given("--manifests", "a", SVCPROXY_GRACE="soon", SVCPROXY_CONFIG="/etc/a.yaml")
    assert str(found.named(StartupError(message))) == named
