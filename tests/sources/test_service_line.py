"""A Service in one line: what it means, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.pod import Pod
from proxy.model.service import Service
from proxy.sources.service_line import ServiceLine, manifest_of, parse_service_line

PORTS = st.integers(1, 65535)


def test_an_endpoint_without_an_address_has_that_of_the_one_before_it() -> None:
    assert parse_service_line("web:8000=127.0.0.1:3000,:3001,127.0.0.2:3000,:3001") == ServiceLine(
        "web",
        8000,
        "TCP",
        (("127.0.0.1", 3000), ("127.0.0.1", 3001), ("127.0.0.2", 3000), ("127.0.0.2", 3001)),
    )


@pytest.mark.parametrize("back", ["127.0.0.1:5353", ":5353", "5353", "localhost:5353"])
def test_a_port_alone_is_one_of_loopback(back: str) -> None:
    assert parse_service_line(f"dns:53/udp={back}") == ServiceLine("dns", 53, "UDP", (("127.0.0.1", 5353),))


def test_an_ipv6_endpoint_stands_in_brackets() -> None:
    line = parse_service_line("web:80=[::1]:8080,:8081")
    assert (line.family, line.address, line.endpoints) == ("IPv6", ("::1", 80), (("::1", 8080), ("::1", 8081)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("web", "must be NAME:PORT"),
        ("web=:80", "must be NAME:PORT"),
        ("web:80=", "must be NAME:PORT"),
        ("Web:80=:81", '"Web" in "Web:80=:81" is not a Service\'s name'),
        ("web:0=:81", '"0" in "web:0=:81" is not a port'),
        ("web:80=:65536", '"65536"'),
        ("web:80=:a", '"a"'),
        ("web:80/sctp=:81", "must be tcp or udp"),
        ("web:80=example.org:81", "is not an IP address"),
        ("web:80=127.0.0.1:81,[::1]:81", "mixes IPv4 and IPv6"),
        ("web:80=:80", "leads back to itself"),
    ],
)
def test_a_mistake_is_named_with_the_line(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("[", r"\[")):
        parse_service_line(text)


@given(port=PORTS, endpoints=st.lists(PORTS, min_size=1, unique=True), protocol=st.sampled_from(["TCP", "UDP"]))
def test_every_line_is_a_valid_manifest_with_a_pod_for_each_endpoint(
    port: int, endpoints: list[int], protocol: str
) -> None:
    others = [each for each in endpoints if each != port] or [port % 65535 + 1]
    (manifest,) = manifest_of([f"web:{port}/{protocol}={','.join(map(str, others))}"])
    assert manifest.problems == ()
    services = [each for each, _ in manifest.objects if isinstance(each, Service)]
    pods = [each for each, _ in manifest.objects if isinstance(each, Pod)]
    assert [(each.port, each.protocol) for each in services[0].spec.ports] == [(port, protocol)]
    assert [pod.spec.containers[0].ports[0].container_port for pod in pods] == others


def test_lines_of_one_name_are_ports_of_one_service() -> None:
    (manifest,) = manifest_of(["dns:53/udp=:5353", "web:80=:8080", "dns:53/tcp=:5353,:5354"])
    services = {each.metadata.name: each for each, _ in manifest.objects if isinstance(each, Service)}
    assert [(each.port, each.protocol) for each in services["dns"].spec.ports] == [(53, "UDP"), (53, "TCP")]
    assert len(services["web"].spec.ports) == 1
    assert [each.metadata.name for each, _ in manifest.objects if isinstance(each, Pod)] == [
        *("dns-1", "dns-2", "dns-3"),
        "web-1",
    ]


def test_no_line_is_no_manifest() -> None:
    assert manifest_of(()) == ()
