"""A configuration written down and read again."""

import json
from pathlib import Path

import pytest

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config import Configuration, load_configuration
from proxy.configuration.config_document import configuration_document
from proxy.dns.settings import DNSSettings


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration(),
        Configuration(
            healthz_bind_address=("::", 0),
            metrics_bind_address=("127.0.0.1", 10249),
            manifests=("a", "b,c"),
            client_connection=ClientConnection(kubeconfig="/k", context="c"),
            node_port_range=(1, 65535),
            node_port_addresses=("primary",),
            service_cluster_ip_range=("10.96.0.0/12", "fd00:96::/112"),
            grace=0.25,
            tcp_idle_timeout=7200.0,
            affinity_entries=7,
            in_cluster=True,
            dns=DNSSettings(("::1", 53), "example.internal", 7, (("192.0.2.1", 53), ("2001:db8::1", 5353))),
        ),
    ],
)
def test_the_document_is_read_as_the_same_configuration(tmp_path: Path, configuration: Configuration) -> None:
    file = tmp_path / "svcproxy.yaml"
    file.write_text(json.dumps(configuration_document(configuration)))
    assert load_configuration(str(file)) == configuration


def test_durations_and_addresses_are_in_the_words_of_the_file() -> None:
    document = configuration_document(Configuration(healthz_bind_address=("::1", 3), grace=1.5))
    assert document["healthzBindAddress"] == "[::1]:3"
    assert document["grace"] == "1.5s"
    assert document["nodePortRange"] == "30000-32767"
