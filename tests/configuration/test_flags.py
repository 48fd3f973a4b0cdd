"""Flags over the file, the file over the defaults."""

import argparse
from pathlib import Path

import pytest

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config import Configuration
from proxy.configuration.flags import add_configuration_flags, configuration_from, default_state_directory
from proxy.startup_error import StartupError

_ENVIRONMENT = {"HOME": "/home/me"}


def _configuration(*arguments: str) -> Configuration:
    parser = argparse.ArgumentParser()
    add_configuration_flags(parser)
    return configuration_from(parser.parse_args(arguments), _ENVIRONMENT)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "svcproxy.yaml"
    path.write_text(
        "apiVersion: svcproxy.io/v1alpha1\nkind: ProxyConfiguration\n"
        "scheduler: lc\ngrace: 5s\nmanifests: [from-file]\nstateDirectory: /state\naccessLog: /log\n"
    )
    return str(path)


def test_without_flags_and_file_everything_is_default_but_the_state_directory() -> None:
    assert _configuration() == Configuration(state_directory="/home/me/.local/state/svcproxy")


def test_the_file_wins_over_the_defaults_and_flags_win_over_the_file(file: str) -> None:
    assert _configuration("--config", file) == Configuration(
        scheduler="lc", grace=5.0, manifests=("from-file",), state_directory="/state", access_log="/log"
    )
    assert _configuration("--config", file, "--scheduler", "rr", "--manifests", "a", "--manifests", "b") == (
        Configuration(scheduler="rr", grace=5.0, manifests=("a", "b"), state_directory="/state", access_log="/log")
    )


def test_every_flag_reaches_its_field() -> None:
    assert _configuration(
        *(
            "--scheduler",
            "sh",
            "--capture",
            "bind",
            "--shortcut",
            "auto",
            "--state-dir",
            "/s",
            "--grace",
            "0",
            "--metrics-bind-address",
            "127.0.0.1:0",
        ),
        *("--healthz-bind-address", "[::1]:2", "--node-port-addresses", "127.0.0.0/8,10.0.0.0/8"),
        *("--hostname-override", "n", "--log-format", "human", "--log-level", "error", "--access-log", "file"),
        *("--manifests", "a,b", "--kubeconfig", "file", "--context", "c", "--in-cluster", "--namespace", "team-a"),
    ) == Configuration(
        client_connection=ClientConnection("file", "c"),
        in_cluster=True,
        namespace="team-a",
        scheduler="sh",
        capture="bind",
        shortcut="auto",
        state_directory="/s",
        grace=0.0,
        metrics_bind_address=("127.0.0.1", 0),
        healthz_bind_address=("::1", 2),
        node_port_addresses=("127.0.0.0/8", "10.0.0.0/8"),
        hostname_override="n",
        log_format="human",
        log_level="error",
        access_log="file",
        manifests=("a,b",),
    )


def test_a_flag_replaces_one_key_of_the_client_connection(tmp_path: Path) -> None:
    path = tmp_path / "svcproxy.yaml"
    path.write_text(
        "apiVersion: svcproxy.io/v1alpha1\nkind: ProxyConfiguration\n"
        "clientConnection: {kubeconfig: from-file, context: from-file}\ninCluster: true\n"
    )
    configuration = _configuration("--config", str(path), "--context", "flag")
    assert configuration.client_connection == ClientConnection("from-file", "flag")
    assert configuration.in_cluster


def test_the_access_log_goes_to_standard_error_unless_told_where() -> None:
    assert _configuration("--access-log").access_log == "-"


def test_a_bad_flag_is_one_line_that_names_it() -> None:
    with pytest.raises(StartupError) as caught:
        _configuration("--grace", "soon")
    assert str(caught.value) == '--grace: invalid duration "soon": use for example 30s, 5m or 1h30m'


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/me"}, "/state/svcproxy"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/state/svcproxy"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/svcproxy"),
    ],
)
def test_the_state_directory_follows_the_xdg_rules(environment: dict[str, str], directory: str) -> None:
    assert default_state_directory(environment) == directory
