"""Configuration: every setting of `svcproxy run`, and the YAML file they are read from.

Invariant: a Configuration is valid as a whole, and its values are in the types that the program uses (seconds, ports,
CIDRs). A mistake in a file is one line that names file and key.
"""

import difflib
from collections.abc import Iterator, Mapping

import msgspec

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config_values import read_value
from proxy.dataplane.relay_limits import KeepAlive
from proxy.dns.settings import DNSSettings
from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml
from proxy.model.problem import Problem
from proxy.startup_error import StartupError

API_VERSION = "svcproxy.io/v1alpha1"
KIND = "ProxyConfiguration"
_NODE_PORT_RANGE = (30000, 32767)


class ConfigurationError(StartupError):
    """A configuration that cannot be used; `problems` is everything that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        more = f" (and {len(problems) - 1} more: see svcproxy check)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = problems


class Configuration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Keys of the file are the field names in camelCase; each has the meaning and default given here.

    Durations are seconds here and text such as "1m30s" in the file. Addresses to bind are (host, port).
    """

    bind_address: str = "0.0.0.0"
    """Where node ports listen if `nodePortAddresses` is empty; "0.0.0.0" or "::" is every address of both families."""
    node_port_addresses: tuple[str, ...] = ()
    """CIDRs: node ports listen on this machine's addresses inside them; "primary" is the machine's main address."""
    healthz_bind_address: tuple[str, int] = ("0.0.0.0", 10256)
    """Where /healthz, /livez and /readyz answer. Port 0 takes any free port."""
    metrics_bind_address: tuple[str, int] = ("127.0.0.1", 10249)
    """Where the page, /api/v1, /metrics and /configz answer. Port 0 takes any free port."""
    admin_token_file: str = ""
    """A file with the token for everything on the metrics address. Without one, an address beyond loopback answers
    health and metrics alone."""
    admin_socket: str = ""
    """A Unix socket that answers what the metrics address answers, to the user that the proxy runs as, without a token;
    empty for none."""
    hostname_override: str = ""
    """This node's name, for policies and hints that ask what is local; empty for the machine's host name."""
    mode: str = "userspace"
    """Who moves the packets: "userspace" (the relay), "nftables" (the kernel, and the relay for what the kernel cannot
    do; takes CAP_NET_ADMIN), "auto": nftables where it can be had. "iptables" and "ipvs" are taken as nftables."""
    keep_rules: bool = False
    """Whether the nftables tables stay in force when the proxy ends, so that a restart cuts no connection."""
    manifests: tuple[str, ...] = ()
    """Manifest files, and directories of them, to serve and to follow; a relative one starts where the program was
    started."""
    services: tuple[str, ...] = ()
    """Services in one line each, such as "web:8000=127.0.0.1:3000,:3001", beside those of `manifests`."""
    manifest_bytes: int = 64 * 1024 * 1024
    """How large a manifest file may be."""
    client_connection: ClientConnection = ClientConnection()
    """`kubeconfig` is a file that says how to reach a cluster, whose Services are then served; `context` is one of its
    contexts, empty for the current one."""
    in_cluster: bool = False
    """Serve the cluster that this proxy runs in as a Pod, with the Pod's service account."""
    namespace: str = ""
    """Serve one namespace of the cluster alone, for which a Role is enough; empty for all of them."""
    standalone: bool = False
    """Carry a Kubernetes API of this proxy's own and serve the Services in it, with those of `manifests` loaded."""
    api_bind_address: tuple[str, int] = ("127.0.0.1", 6443)
    """Where the API of `standalone` answers. Port 0 takes any free port."""
    scheduler: str = "rr"
    """The scheduler of Services without the annotation svcproxy.io/scheduler."""
    service_cluster_ip_range: tuple[str, ...] = msgspec.field(name="serviceClusterIPRange", default=("127.96.0.0/16",))
    """Where ClusterIPs come from: one CIDR, or one of each family, as a list or separated by a comma."""
    external_ip_ranges: tuple[str, ...] = msgspec.field(name="externalIPRanges", default=())
    """CIDRs of the external and load balancer addresses that are served; empty for all that are this machine's. Those
    that no interface has are made local, each by a route, which needs CAP_NET_ADMIN."""
    dns: DNSSettings = DNSSettings()
    """The names of Services: `bindAddress` ("auto", "off" or an address and port), `zone`, `ttl` and `upstream`."""
    node_port_range: tuple[int, int] = _NODE_PORT_RANGE
    """Where node ports come from, "FIRST-LAST"."""
    state_directory: str = ""
    """Where given addresses are remembered; empty for $XDG_STATE_HOME/svcproxy or ~/.local/state/svcproxy."""
    grace: float = 30.0
    """How long connections may finish after SIGTERM."""
    capture: str = "auto"
    """How clients come to the proxy: "bind" (a socket for each frontend and worker), "sklookup" (a BPF program finds a
    few shared ones; takes CAP_BPF and CAP_NET_ADMIN), "auto": sklookup where the descriptors are too few for bind."""
    shortcut: str = "off"
    """The socket shortcut for clients of this machine: "off", "auto" (where it is permitted, on the cgroup that covers
    them), or a directory of cgroup v2."""
    shortcut_pins: str = ""
    """A directory on a bpffs where the shortcut stays attached while the proxy is away; empty for none."""
    connect_timeout: float = 5.0
    """How long connecting a client to an endpoint may take, over all endpoints tried."""
    tcp_idle_timeout: float = 0.0
    """A TCP connection without traffic for this long is closed; 0 for never."""
    tcp_keep_alive: KeepAlive | None = KeepAlive()
    """How vanished peers are detected: `idle`, `interval` and `count`; none for no detection."""
    tcp_half_closed_timeout: float = 3600.0
    """A TCP connection of which one side has finished, without traffic for this long, is closed; 0 for never."""
    udp_idle_timeout: float = 60.0
    """A UDP flow without traffic for this long is forgotten; 0 for never."""
    workers: int | None = None
    """How many processes forward; none means one for each core that the program may use. 0 forwards in this process,
    which takes the least memory."""
    worker_user: str = "nobody"
    """The user that workers run as if this process is root."""
    worker_timeout: float = 5.0
    """How long a worker may be silent before another replaces it."""
    buffer_bytes: int | None = None
    """How much all workers together may hold for slow readers; none means a quarter of the cgroup's memory limit."""
    affinity_entries: int = 1_000_000
    """How many clients the affinity table remembers. The least recently seen leave first."""
    udp_flows: int = 65_536
    """How many UDP flows may live at a time."""
    log_format: str = "auto"
    """"human", "json", or "auto": human on a terminal, JSON elsewhere."""
    log_level: str = "info"
    """"debug", "info", "warning" or "error"."""
    metrics_per_endpoint: bool = False
    """Whether /metrics has series for each endpoint as well, and not for each Service port alone."""
    access_log: str = ""
    access_log_sample: float = 1.0
    """One line a connection goes to this file; "-" is standard error, empty is off."""
    service_proxy_name: str = ""
    """Serve the Services labelled service.kubernetes.io/service-proxy-name with this name; empty: the unlabelled."""

    @property
    def follows_cluster(self) -> bool:
        """Whether the Services come from a cluster."""
        return self.in_cluster or bool(self.client_connection.kubeconfig)


_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Configuration)}


def load_configuration(path: str) -> Configuration:
    """Read a file. Raises ConfigurationError, also for a file that cannot be read."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
        documents = [document for document in load_yaml(text) if document is not None]
    except OSError as error:
        raise ConfigurationError((Problem(f"cannot be read: {error.strerror}", where=path),)) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError((Problem("is not UTF-8 text", where=path),)) from error
    except DocumentSyntaxError as error:
        raise ConfigurationError((Problem(str(error), where=path),)) from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        message = f"must hold one mapping of keys, with apiVersion: {API_VERSION} and kind: {KIND}"
        raise ConfigurationError((Problem(message, where=path),))
    return _configuration(path, documents[0])


def _configuration(path: str, document: Mapping[object, object]) -> Configuration:
    values: dict[str, object] = {}
    problems = [Problem(message, where=path) for message in _header_mistakes(document)]
    for key, value in document.items():
        if key in ("apiVersion", "kind") or value is None:
            continue
        try:
            name, read = _read(str(key), value)
            values[name] = read
        except ValueError as error:
            problems.append(Problem(str(error), where=path))
    if problems:
        raise ConfigurationError(tuple(problems))
    return Configuration(**values)  # type: ignore[arg-type]  # each value was read as its field's type


def _header_mistakes(document: Mapping[object, object]) -> Iterator[str]:
    for key, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        if key not in document:
            yield f"{key}: is missing: add `{key}: {expected}`"
        elif document[key] != expected:
            yield f'{key}: must be "{expected}", not {document[key]!r}'


def _read(key: str, value: object) -> tuple[str, object]:
    """The field and its value. Raises ValueError with a message that begins with the key."""
    if key not in _FIELDS:
        near = difflib.get_close_matches(key, _FIELDS, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"the keys are {', '.join(sorted(_FIELDS))}"
        raise ValueError(f"{key}: unknown key: {hint}")
    field = _FIELDS[key]
    try:
        return field.name, read_value(field.name, value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error
