"""The configuration file: every key, every mistake."""

from pathlib import Path

import msgspec
import pytest

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config import Configuration, ConfigurationError, load_configuration
from proxy.dataplane.relay_limits import KeepAlive
from proxy.dns.settings import DNSSettings

_HEADER = "apiVersion: svcproxy.io/v1alpha1\nkind: ProxyConfiguration\n"


def _load(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "svcproxy.yaml"
    path.write_text(text)
    return load_configuration(str(path))


def _mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert {problem.where for problem in caught.value.problems} == {str(tmp_path / "svcproxy.yaml")}
    return [problem.message for problem in caught.value.problems]


def test_an_empty_configuration_is_the_default(tmp_path: Path) -> None:
    assert _load(tmp_path, _HEADER) == Configuration()
    assert _load(tmp_path, _HEADER + "scheduler:\n") == Configuration()


EVERY_KEY = """
bindAddress: "::"
nodePortAddresses: [127.0.0.0/8, 2001:db8::/64]
healthzBindAddress: "[::]:0"
metricsBindAddress: 127.0.0.1:19249
adminTokenFile: /etc/svcproxy/token
adminSocket: /run/svcproxy.sock
hostnameOverride: node-1
mode: nftables
keepRules: true
manifests: [one, "two, three"]
manifestBytes: 1000
services: ["web:80=:81,:82"]
clientConnection: {kubeconfig: /etc/kubeconfig, context: mine}
inCluster: true
namespace: team-a
standalone: true
apiBindAddress: 127.0.0.1:0
scheduler: mh
serviceClusterIPRange: 10.96.0.0/12, fd00:10::/108
externalIPRanges: [192.0.2.0/24, "2001:db8:1::/64"]
dns: {bindAddress: "[::1]:10053", zone: Example.Internal., ttl: 30, upstream: ["192.0.2.1", "[2001:db8::1]:5353"]}
nodePortRange: 31000-31999
stateDirectory: /var/lib/svcproxy
capture: sklookup
shortcut: /sys/fs/cgroup/mine
shortcutPins: /sys/fs/bpf/mine
grace: 1m30s
connectTimeout: 250ms
tcpIdleTimeout: 1h
tcpKeepAlive: {idle: 1m, interval: 10s, count: 3}
tcpHalfClosedTimeout: 5m
udpIdleTimeout: 0
bufferBytes: 2000000
affinityEntries: 10
udpFlows: 20
workers: 3
workerTimeout: 7s
workerUser: daemon
logFormat: json
logLevel: debug
accessLog: "-"
accessLogSample: 0.25
serviceProxyName: mine
metricsPerEndpoint: true
"""
EVERY_VALUE = Configuration(
    bind_address="::",
    node_port_addresses=("127.0.0.0/8", "2001:db8::/64"),
    healthz_bind_address=("::", 0),
    metrics_bind_address=("127.0.0.1", 19249),
    admin_token_file="/etc/svcproxy/token",
    admin_socket="/run/svcproxy.sock",
    hostname_override="node-1",
    mode="nftables",
    keep_rules=True,
    manifests=("one", "two, three"),
    manifest_bytes=1000,
    services=("web:80=:81,:82",),
    client_connection=ClientConnection("/etc/kubeconfig", "mine"),
    in_cluster=True,
    namespace="team-a",
    standalone=True,
    api_bind_address=("127.0.0.1", 0),
    scheduler="mh",
    service_cluster_ip_range=("10.96.0.0/12", "fd00:10::/108"),
    external_ip_ranges=("192.0.2.0/24", "2001:db8:1::/64"),
    dns=DNSSettings(
        bind_address=("::1", 10053),
        zone="example.internal",
        ttl=30,
        upstream=(("192.0.2.1", 53), ("2001:db8::1", 5353)),
    ),
    node_port_range=(31000, 31999),
    state_directory="/var/lib/svcproxy",
    capture="sklookup",
    shortcut="/sys/fs/cgroup/mine",
    shortcut_pins="/sys/fs/bpf/mine",
    grace=90.0,
    connect_timeout=0.25,
    tcp_idle_timeout=3600.0,
    tcp_keep_alive=KeepAlive(60, 10, 3),
    tcp_half_closed_timeout=300.0,
    udp_idle_timeout=0.0,
    buffer_bytes=2_000_000,
    affinity_entries=10,
    udp_flows=20,
    workers=3,
    worker_timeout=7.0,
    worker_user="daemon",
    log_format="json",
    log_level="debug",
    access_log="-",
    access_log_sample=0.25,
    service_proxy_name="mine",
    metrics_per_endpoint=True,
)


def test_every_key_is_read_in_the_programs_own_types(tmp_path: Path) -> None:
    assert _load(tmp_path, _HEADER + EVERY_KEY) == EVERY_VALUE


def test_keep_alive_can_be_left_out(tmp_path: Path) -> None:
    assert _load(tmp_path, _HEADER + "tcpKeepAlive: off\n").tcp_keep_alive is None
    assert _load(tmp_path, _HEADER + "tcpKeepAlive: {}\n").tcp_keep_alive == KeepAlive()


def test_every_field_has_a_key_that_is_read() -> None:
    default = Configuration()
    unread = [name for name in Configuration.__struct_fields__ if getattr(EVERY_VALUE, name) == getattr(default, name)]
    assert unread == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tcpKeepAlive: 5s", "tcpKeepAlive: must be off or a mapping with idle, interval, count, not '5s'"),
        ("tcpKeepAlive: {idel: 5s}", "tcpKeepAlive: idel: unknown key: the keys are idle, interval, count"),
        ("tcpKeepAlive: {idle: 500ms}", "tcpKeepAlive: idle: must be whole seconds from 1s to 32767s, not '500ms'"),
        ("tcpKeepAlive: {count: 0}", "tcpKeepAlive: count: must be a whole number from 1 to 127, not 0"),
        ("workerUser: nowhere-man", 'workerUser: "nowhere-man" is no user of this machine: see /etc/passwd'),
        ("bufferBytes: 5", "bufferBytes: must be a number of bytes, at least 1048576, not 5"),
        ("schedular: rr", 'schedular: unknown key: did you mean "scheduler"?'),
        ("dns: off", "dns: must be a mapping with bindAddress, zone, ttl, upstream, not False"),
        ("dns: {port: 53}", "dns: port: unknown key: the keys are bindAddress, zone, ttl, upstream"),
        (
            "dns: {bindAddress: somewhere}",
            'dns: bindAddress: \'somewhere\' is not "auto", "off", or an IP address and port such as 127.0.0.1:10053',
        ),
        ("dns: {zone: ''}", 'dns: zone: "" is not a domain: use for example cluster.local'),
        (
            f"dns: {{zone: {'a' * 40}.{'b' * 40}}}",
            f'dns: zone: "{"a" * 40}.{"b" * 40}" leaves no room for the names of Services: at most 57 characters',
        ),
        ("dns: {ttl: 3601}", "dns: ttl: must be a number of seconds from 0 to 3600, not 3601"),
        (
            "dns: {upstream: nowhere}",
            'dns: upstream: "nowhere" is not a DNS server: use for example 192.0.2.1 or [2001:db8::1]:5353',
        ),
        (
            "dns: {upstream: []}",
            "dns: upstream: names no server: use addresses, system for those of /etc/resolv.conf, or none to refuse",
        ),
        ("capture: nftables", 'capture: Unsupported value: "nftables": supported values: "auto", "bind", "sklookup"'),
        ("inCluster: 1", "inCluster: must be true or false, not 1"),
        ("namespace: team.a", 'namespace: "team.a" is not a namespace: must not contain dots'),
        ("clientConnection: FILE", "clientConnection: must be a mapping with kubeconfig and context, not 'FILE'"),
        ("clientConnection: {qps: 5}", "clientConnection: qps: unknown key: the keys are kubeconfig, context"),
        ("bindAddress: localhost", 'bindAddress: "localhost" is not an IP address: use for example 0.0.0.0 or ::'),
        (
            "nodePortAddresses: [10.0.0.1/8]",
            'nodePortAddresses: "10.0.0.1/8" is not a CIDR (10.0.0.1/8 has host bits set): '
            "use for example 10.9.8.0/24 or 2001:db8::/64",
        ),
        (
            "nodePortAddresses: [primary, 10.0.0.0/8]",
            'nodePortAddresses: "primary" stands alone, without CIDRs',
        ),
        ("nodePortAddresses: 3", "nodePortAddresses: must be a list, not 3"),
        ("manifests: [1]", "manifests: must be text, not 1: put it in quotes"),
        ("hostnameOverride: 7", "hostnameOverride: must be text, not 7: put it in quotes"),
        (
            "mode: ebpf",
            'mode: Unsupported value: "ebpf": supported values: "auto", "iptables", "ipvs", "nftables", "userspace"',
        ),
        (
            "logFormat: xml",
            'logFormat: Unsupported value: "xml": supported values: "auto", "human", "json"',
        ),
        ("nodePortRange: 30000", "nodePortRange: must be text, not 30000: put it in quotes"),
        ("nodePortRange: 9-8", 'nodePortRange: "9-8" is not a range of ports: use for example 30000-32767'),
        ("nodePortRange: a-b", 'nodePortRange: "a-b" is not a range of ports: use for example 30000-32767'),
        ("grace: 30", 'grace: invalid duration "30": use for example 30s, 5m or 1h30m'),
        ("connectTimeout: 0s", 'connectTimeout: invalid duration "0s": must be more than 0'),
        ("affinityEntries: 0", "affinityEntries: must be a whole number from 1 to 1000000000, not 0"),
        ("affinityEntries: 5000000000", "affinityEntries: must be a whole number from 1 to 1000000000, not 5000000000"),
        ("workers: -1", "workers: must be a whole number from 0 to 256, not -1"),
        ("workers: true", "workers: must be a whole number from 0 to 256, not True"),
        ("accessLogSample: 2", "accessLogSample: must be a number from 0 to 1, not 2"),
        ("accessLogSample: true", "accessLogSample: must be a number from 0 to 1, not True"),
        ("accessLogSample: some", "accessLogSample: must be a number from 0 to 1, not 'some'"),
        ("udpFlows: true", "udpFlows: must be a whole number above 0, not True"),
        (
            "serviceClusterIPRange: 10.0.0.0/24,10.0.1.0/24",
            "serviceClusterIPRange: there must be one service range, or two of different IP families",
        ),
        (
            "serviceClusterIPRange: []",
            "serviceClusterIPRange: there must be one service range, or two of different IP families",
        ),
        ("a: b: c", "line 3, column 5: mapping values are not allowed in this context"),
        ("grace: 1s\ngrace: 2s", 'line 4, column 1: key "grace" is already set'),
    ],
)
def test_a_mistake_names_the_key_and_the_way_out(tmp_path: Path, line: str, message: str) -> None:
    assert _mistakes(tmp_path, _HEADER + line) == [message]


@pytest.mark.parametrize(
    "text", ["10249", "127.0.0.1", "localhost:1", "127.0.0.1:65536", "::1:80", "[127.0.0.1]:1", ":80"]
)
def test_an_address_to_bind_is_an_ip_address_and_a_port(tmp_path: Path, text: str) -> None:
    assert _mistakes(tmp_path, f"{_HEADER}metricsBindAddress: '{text}'") == [
        f'metricsBindAddress: "{text}" is not an IP address and port: use for example 127.0.0.1:10249 or [::]:10256'
    ]


def test_an_unknown_scheduler_is_told_the_known_ones(tmp_path: Path) -> None:
    (mistake,) = _mistakes(tmp_path, _HEADER + "scheduler: fastest")
    assert mistake.startswith('scheduler: Unsupported value: "fastest": supported values: ')
    assert '"rr"' in mistake


def test_a_key_like_no_other_is_told_them_all(tmp_path: Path) -> None:
    (mistake,) = _mistakes(tmp_path, _HEADER + "qqq: 1")
    assert mistake.startswith(
        "qqq: unknown key: the keys are accessLog, accessLogSample, adminSocket, adminTokenFile, affinityEntries, "
    )


def test_every_mistake_is_in_the_list_and_the_line_says_how_many(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, "kind: KubeProxyConfiguration\ngrace: soon\nqqq: 1")
    assert [problem.message.split(":")[0] for problem in caught.value.problems] == [
        "apiVersion",
        "kind",
        "grace",
        "qqq",
    ]
    assert str(caught.value) == (
        f"{tmp_path}/svcproxy.yaml: apiVersion: is missing: add `apiVersion: svcproxy.io/v1alpha1` "
        "(and 3 more: see svcproxy check)"
    )


@pytest.mark.parametrize("text", ["", "- a\n", f"{_HEADER}---\n{_HEADER}"])
def test_a_file_holds_one_mapping(tmp_path: Path, text: str) -> None:
    (mistake,) = _mistakes(tmp_path, text)
    assert mistake.startswith("must hold one mapping of keys")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(str(tmp_path / "gone.yaml"))
    assert str(caught.value) == f"{tmp_path}/gone.yaml: cannot be read: No such file or directory"


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        load_configuration(str(tmp_path / "a.yaml"))


def test_the_example_states_every_default() -> None:
    example = load_configuration(str(Path(__file__).parents[2] / "config" / "svcproxy.yaml"))
    assert msgspec.structs.replace(example, manifests=()) == Configuration()
