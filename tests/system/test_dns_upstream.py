"""Other zones, with a dnsmasq as the resolver of this machine: forwarded, followed, cut off, and never in a circle."""

import getpass
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.harness.dig import Dig
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import port, service
from tests.system.harness.places import Places
from tests.system.harness.process import Process
from tests.system.harness.svcproxy import StartSvcproxy, environment_in

pytestmark = pytest.mark.requires("dig", "dnsmasq")

OUTSIDE = "outside.default.svc.cluster.local."
PORT = 5353
StartResolver = Callable[..., str]


@pytest.fixture
def resolver(tmp_path: Path, places: Places) -> Iterator[StartResolver]:
    """Starts a dnsmasq with these lines of configuration; gives its address and port."""
    started: list[Process] = []

    def start(*lines: str) -> str:
        address = places.address()
        directory = tmp_path / f"dnsmasq-{len(started)}"
        environment = environment_in(directory)
        file = directory / "dnsmasq.conf"
        own = ["no-resolv", "no-hosts", "bind-interfaces", f"listen-address={address}", f"port={PORT}", "pid-file"]
        file.write_text("\n".join([*own, f"user={getpass.getuser()}", *lines]) + "\n")
        command = [shutil.which("dnsmasq") or "", "--keep-in-foreground", f"--conf-file={file}", "--log-facility=-"]
        started.append(Process(command, directory, environment))
        eventually(lambda: is_listening(address), "dnsmasq listens")
        return f"{address}:{PORT}"

    yield start
    assert [orphan for process in started for orphan in process.close()] == []


def is_listening(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, PORT)) == 0


def start(svcproxy: StartSvcproxy, *upstream: str) -> Dig:
    outside = service("outside", type="ExternalName", externalName="www.example.com")
    return Dig(svcproxy([outside], configuration={"dns": {"upstream": list(upstream)}}))


def test_other_zones_are_forwarded_and_external_names_followed(
    svcproxy: StartSvcproxy, resolver: StartResolver
) -> None:
    lines = ("host-record=www.example.com,192.0.2.7,2001:db8::7", "local=/example.com/", "local-ttl=60")
    dig = start(svcproxy, resolver(*lines))
    answered = dig("www.EXAMPLE.com.")
    assert answered.values == ["192.0.2.7"]
    assert "ra" in answered.flags
    assert "aa" not in answered.flags
    assert dig("-t", "AAAA", "www.example.com.", "+tcp").values == ["2001:db8::7"]
    assert dig("-x", "192.0.2.7").values == ["www.example.com."]
    assert dig("nobody.example.com.").code == "NXDOMAIN"
    assert [row[3] for row in dig(OUTSIDE).answers] == ["www.example.com.", "192.0.2.7"]
    assert dig("-t", "AAAA", OUTSIDE).values == ["www.example.com.", "2001:db8::7"]
    assert dig("+norecurse", OUTSIDE).values == ["www.example.com."]
    assert dig("+norecurse", "www.example.com.").code == "REFUSED"
    assert dig("-t", "TXT", "dns-version.cluster.local.").values == ['"1.1.0"']


def test_what_upstream_cuts_off_is_had_over_tcp(svcproxy: StartSvcproxy, resolver: StartResolver) -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 201)]
    dig = start(svcproxy, resolver(*(f"host-record=big.example.com,{address}" for address in addresses)))
    assert "tc" in dig("+ignore", "big.example.com.").flags
    assert sorted(dig("big.example.com.").values) == sorted(addresses)


def test_a_circle_is_broken_and_said_once(svcproxy: StartSvcproxy, resolver: StartResolver, places: Places) -> None:
    """The resolver sends us every question, instead of the cluster's zone alone."""
    address = places.address()
    upstream = resolver(f"server={address}#10053", "no-negcache")
    process = svcproxy((), f"--dns={address}:10053", configuration={"dns": {"upstream": [upstream]}})
    dig = Dig(process)
    for name in ("www.example.com.", "other.example.com."):
        assert dig(name).code in ("REFUSED", "SERVFAIL")
    assert dig("-t", "TXT", "dns-version.cluster.local.").values == ['"1.1.0"']
    assert sum("an upstream DNS server asks us what we ask it" in line for line in process.stderr) == 1


def test_a_dead_upstream_costs_other_zones_alone(svcproxy: StartSvcproxy, places: Places) -> None:
    dig = start(svcproxy, f"{places.address()}:{PORT}")
    assert dig("www.example.com.").code == "SERVFAIL"
    assert dig(OUTSIDE).values == ["www.example.com."]


def test_the_lines_that_the_readme_has_for_dnsmasq_lead_here(
    svcproxy: StartSvcproxy, resolver: StartResolver, places: Places
) -> None:
    address, cluster_ip = places.address(), places.cluster_ip()
    manifests = [service("web", port(8080), clusterIP=cluster_ip)]
    dig = Dig(svcproxy(manifests, f"--dns={address}:10053", configuration={"dns": {"upstream": "none"}}))
    network = f"{cluster_ip.rpartition('.')[0]}.0/24"
    through = resolver(f"server=/cluster.local/{address}#10053", f"rev-server={network},{address}#10053")
    dig.host, dig.port = through.partition(":")[0], PORT
    assert dig("web.default.svc.cluster.local.").values == [cluster_ip]
    assert dig("-x", cluster_ip).values == ["web.default.svc.cluster.local."]
    assert dig("nobody.default.svc.cluster.local.").code == "NXDOMAIN"
