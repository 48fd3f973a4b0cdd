"""The name of this machine, and where the plan has it from."""

import socket

import pytest

from proxy.configuration.config import Configuration
from proxy.control.node_settings import node_name, node_settings


def test_the_name_is_the_override_or_the_host_name_as_the_kubelet_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Worker-1.Example")
    assert node_name(Configuration()) == "worker-1.example"
    assert node_name(Configuration(hostname_override="Other")) == "Other"


def test_the_plan_knows_name_and_addresses() -> None:
    settings = node_settings(Configuration(bind_address="127.0.0.9", scheduler="lc"), "here")
    assert (settings.node_name, settings.node_port_addresses, settings.scheduler) == ("here", ("127.0.0.9",), "lc")
