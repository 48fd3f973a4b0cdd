"""Whom the system asks, and that it is never we."""

import os
from pathlib import Path

import pytest

from proxy.dns.resolv_conf import name_servers, without_ourselves
from proxy.dns.settings import DNSSettings
from proxy.dns.upstream_servers import UpstreamServers


def test_the_first_three_servers_count() -> None:
    text = "# nameserver 1.1.1.1\nsearch a b\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # x\nnameserver nonsense\n"
    text += "nameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver\n"
    assert name_servers(text) == (("192.0.2.1", 53), ("2001:db8::1", 53), ("192.0.2.2", 53))


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ((("127.96.0.10", 53),), (("127.0.0.53", 53), ("192.0.2.1", 53), ("::1", 53))),
        ((("127.96.0.10", 10053),), (("127.96.0.10", 53), ("127.0.0.53", 53), ("192.0.2.1", 53), ("::1", 53))),
        ((("0.0.0.0", 53),), (("192.0.2.1", 53),)),
        ((("::1", 53),), (("127.96.0.10", 53), ("127.0.0.53", 53), ("192.0.2.1", 53))),
    ],
)
def test_we_are_not_our_own_upstream(own: tuple[tuple[str, int], ...], left: tuple[tuple[str, int], ...]) -> None:
    servers = (("127.96.0.10", 53), ("127.0.0.53", 53), ("192.0.2.1", 53), ("::1", 53))
    assert without_ourselves(servers, own) == left


def test_a_changed_file_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "resolv.conf"
    servers = UpstreamServers(DNSSettings(), str(file))
    assert servers() == ()
    file.write_text("nameserver 192.0.2.1\n")
    assert servers() == (("192.0.2.1", 53),)
    file.write_text("nameserver 192.0.2.2\nnameserver 127.96.0.10\n")
    os.utime(file, ns=(1, 1))
    servers.serve_at([("127.96.0.10", 53)])
    assert servers() == (("192.0.2.2", 53),)
    assert [record.getMessage() for record in caplog.records] == [
        f"{file} names 127.96.0.10:53, where this proxy itself answers: it is not asked"
    ]


def test_configured_servers_stand_in_for_the_systems(tmp_path: Path) -> None:
    servers = UpstreamServers(DNSSettings(upstream=(("192.0.2.9", 5353),)), str(tmp_path / "none"))
    assert servers() == (("192.0.2.9", 5353),)
