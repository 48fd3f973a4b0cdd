"""Configuration values: from what a file or a flag says to the type that the program uses.

Invariant: a flag's text and a file's value of the same meaning give the same result, and every refusal is a ValueError
whose text says what would be accepted.
"""

import pwd
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from random import Random
from types import MappingProxyType
from typing import Literal

from proxy.affinity import MOST_ENTRIES
from proxy.cluster.allocators import allocators_for
from proxy.configuration.client_connection import ClientConnection
from proxy.dataplane.relay_limits import KeepAlive
from proxy.dns.settings import DNSSettings, SocketAddress
from proxy.model.duration import parse_duration
from proxy.model.field_errors import not_supported
from proxy.model.names import dns_label_messages, dns_subdomain_messages
from proxy.schedulers import registry
from proxy.sources.service_line import parse_service_line

PRIMARY = "primary"
LOG_FORMATS = ("auto", "human", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
MODES = ("auto", "iptables", "ipvs", "nftables", "userspace")
"""iptables and ipvs are for configurations of kube-proxy: nftables stands in for them."""
CAPTURES = ("auto", "bind", "sklookup")
MOST_WORKERS = 256
_PORTS = range(65536)
_LONGEST_ZONE = 57
_LONGEST_LABEL = 63
_LONGEST_TTL = 3600
_LONGEST_KEEP_ALIVE = 32767
"""MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL of include/net/tcp.h."""
_MOST_PROBES = 127
"""MAX_TCP_KEEPCNT."""
_LEAST_BUFFER = 1024 * 1024


def read_value(field: str, value: object) -> object:
    """`value` as the field of Configuration with this name holds it. Raises ValueError."""
    return _READERS[field](value)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"must be text, not {value!r}: put it in quotes")


def _texts(value: object) -> tuple[str, ...]:
    """A list of texts, or one text with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Sequence):
        return tuple(_text(part) for part in value)
    raise ValueError(f"must be a list, not {value!r}")


def _paths(value: object) -> tuple[str, ...]:
    """Like `_texts`, but a comma is part of a path."""
    return (value,) if isinstance(value, str) else _texts(value)


def _services(value: object) -> tuple[str, ...]:
    """Lines, or one of them; a comma is part of a line."""
    lines = _paths(value)
    for line in lines:
        parse_service_line(line)
    return lines


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, not {value!r}")


def _client_connection(value: object) -> ClientConnection:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping with kubeconfig and context, not {value!r}")
    known = ClientConnection.__struct_fields__
    for key in value:
        if key not in known:
            raise ValueError(f"{key}: unknown key: the keys are {', '.join(known)}")
    return ClientConnection(**{str(key): _text(text) for key, text in value.items() if text is not None})


def _namespace(value: object) -> str:
    text = _text(value)
    messages = dns_label_messages(text) if text else ()
    for message in messages:
        raise ValueError(f'"{text}" is not a namespace: {message}')
    return text


def _shortcut(value: object) -> str:
    """off, auto, or a directory; YAML takes a bare `off` for false."""
    text = "off" if value is False else _text(value)
    if text in ("off", "auto") or text.startswith("/"):
        return text
    raise ValueError(f'must be off, auto or the absolute path of a cgroup v2 directory, not "{text}"')


def _absolute_path(value: object) -> str:
    text = _text(value)
    if text and not text.startswith("/"):
        raise ValueError(f'must be an absolute path, not "{text}"')
    return text


def _duration(value: object) -> float:
    """Seconds; a bare 0 needs no unit, as in Go."""
    return parse_duration(value if isinstance(value, str) else str(value))


def _positive_duration(value: object) -> float:
    seconds = _duration(value)
    if seconds == 0:
        raise ValueError(f'invalid duration "{value}": must be more than 0')
    return seconds


def _keep_alive(value: object) -> KeepAlive | None:
    """A mapping, or off, which YAML takes for false."""
    if value in ("off", False):
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"must be off or a mapping with {', '.join(_KEEP_ALIVE_READERS)}, not {value!r}")
    given: dict[str, object] = {}
    for key, part in value.items():
        if key not in _KEEP_ALIVE_READERS:
            raise ValueError(f"{key}: unknown key: the keys are {', '.join(_KEEP_ALIVE_READERS)}")
        try:
            given[key] = _KEEP_ALIVE_READERS[key](part)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    return KeepAlive(**given)  # type: ignore[arg-type]  # each value was read as its field's type


def _keep_alive_seconds(value: object) -> float:
    seconds = _duration(value)
    if seconds.is_integer() and 1 <= seconds <= _LONGEST_KEEP_ALIVE:
        return seconds
    raise ValueError(f"must be whole seconds from 1s to {_LONGEST_KEEP_ALIVE}s, not {value!r}")


def _keep_alive_count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_PROBES:
        return value
    raise ValueError(f"must be a whole number from 1 to {_MOST_PROBES}, not {value!r}")


def _buffer_bytes(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= _LEAST_BUFFER:
        return value
    raise ValueError(f"must be a number of bytes, at least {_LEAST_BUFFER}, not {value!r}")


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError(f"must be a whole number above 0, not {value!r}")


def _affinity_entries(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_ENTRIES:
        return value
    raise ValueError(f"must be a whole number from 1 to {MOST_ENTRIES}, not {value!r}")


def _workers(value: object) -> int:
    """A whole number, as a number or a flag's text."""
    text = str(value)
    if not isinstance(value, bool) and text.isascii() and text.isdecimal() and int(text) <= MOST_WORKERS:
        return int(text)
    raise ValueError(f"must be a whole number from 0 to {MOST_WORKERS}, not {value!r}")


def _user(value: object) -> str:
    text = _text(value)
    try:
        pwd.getpwnam(text)
    except (KeyError, ValueError) as error:
        raise ValueError(f'"{text}" is no user of this machine: see /etc/passwd') from error
    return text


def _share(value: object) -> float:
    """A number from 0 to 1, as a number or a flag's text."""
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if 0.0 <= share <= 1.0:
            return share
    raise ValueError(f"must be a number from 0 to 1, not {value!r}")


def _one_of(choices: Callable[[], Sequence[str]]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value in choices():
            return str(value)
        raise ValueError(not_supported("", value, choices()).text)

    return read


def _address(value: object) -> str:
    text = _text(value)
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise ValueError(f'"{text}" is not an IP address: use for example 0.0.0.0 or ::') from error


def _host_and_port(value: object) -> tuple[str, int]:
    text = _text(value)
    host, separator, port = text.rpartition(":")
    mistake = ValueError(f'"{text}" is not an IP address and port: use for example 127.0.0.1:10249 or [::]:10256')
    if not separator or not (port.isascii() and port.isdecimal()) or int(port) not in _PORTS:
        raise mistake
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise mistake from error
    if (address.version == 6) != host.startswith("[") or host.startswith("[") != host.endswith("]"):
        raise mistake
    return str(address), int(port)


def _dns(value: object) -> DNSSettings:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping with {', '.join(_DNS_READERS)}, not {value!r}")
    given: dict[str, object] = {}
    for key, part in value.items():
        if key not in _DNS_READERS:
            raise ValueError(f"{key}: unknown key: the keys are {', '.join(_DNS_READERS)}")
        if part is None:
            continue
        field, read = _DNS_READERS[key]
        try:
            given[field] = read(part)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    return DNSSettings(**given)  # type: ignore[arg-type]  # each value was read as its field's type


def read_dns_address(value: object) -> SocketAddress | Literal["auto", "off"]:
    """Where DNS answers. YAML reads a bare off as false. Raises ValueError."""
    if value in ("off", False):
        return "off"
    if value == "auto":
        return "auto"
    try:
        return _host_and_port(value)
    except ValueError as error:
        raise ValueError(
            f'{value!r} is not "auto", "off", or an IP address and port such as 127.0.0.1:10053'
        ) from error


def _zone(value: object) -> str:
    text = _text(value).removesuffix(".").lower()
    if dns_subdomain_messages(text):
        raise ValueError(f'"{text}" is not a domain: use for example cluster.local')
    if len(text) > _LONGEST_ZONE or any(len(label) > _LONGEST_LABEL for label in text.split(".")):
        raise ValueError(f'"{text}" leaves no room for the names of Services: at most {_LONGEST_ZONE} characters')
    return text


def _ttl(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LONGEST_TTL:
        return value
    raise ValueError(f"must be a number of seconds from 0 to {_LONGEST_TTL}, not {value!r}")


def _upstream(value: object) -> tuple[SocketAddress, ...] | Literal["system", "none"]:
    if value == "system":
        return "system"
    if value == "none":
        return "none"
    servers = tuple(map(_server, _texts(value)))
    if not servers:
        raise ValueError("names no server: use addresses, system for those of /etc/resolv.conf, or none to refuse")
    return servers


def _server(text: str) -> SocketAddress:
    """An address, with port 53 unless it says another."""
    try:
        return str(ip_address(text)), 53
    except ValueError:
        pass
    try:
        return _host_and_port(text)
    except ValueError as error:
        raise ValueError(f'"{text}" is not a DNS server: use for example 192.0.2.1 or [2001:db8::1]:5353') from error


def _node_port_addresses(value: object) -> tuple[str, ...]:
    texts = _texts(value)
    if PRIMARY in texts and len(texts) > 1:
        raise ValueError(f'"{PRIMARY}" stands alone, without CIDRs')
    return tuple(text if text == PRIMARY else _cidr(text) for text in texts)


def _cidr(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(f'"{text}" is not a CIDR ({error}): use for example 10.9.8.0/24 or 2001:db8::/64') from error


def _service_ranges(value: object) -> tuple[str, ...]:
    ranges = tuple(map(_cidr, _texts(value)))
    allocators_for(ranges, (1, 1), Random(0))
    return ranges


def _ranges(value: object) -> tuple[str, ...]:
    return tuple(map(_cidr, _texts(value)))


def _port_range(value: object) -> tuple[int, int]:
    text = _text(value)
    first, separator, last = text.partition("-")
    mistake = ValueError(f'"{text}" is not a range of ports: use for example 30000-32767')
    if not separator or not all(part.isascii() and part.isdecimal() for part in (first, last)):
        raise mistake
    if not 1 <= int(first) <= int(last) <= 65535:
        raise mistake
    return int(first), int(last)


_DNS_READERS: Mapping[str, tuple[str, Callable[[object], object]]] = MappingProxyType(
    {
        "bindAddress": ("bind_address", read_dns_address),
        "zone": ("zone", _zone),
        "ttl": ("ttl", _ttl),
        "upstream": ("upstream", _upstream),
    }
)

_KEEP_ALIVE_READERS: Mapping[str, Callable[[object], object]] = MappingProxyType(
    {"idle": _keep_alive_seconds, "interval": _keep_alive_seconds, "count": _keep_alive_count}
)

_READERS: Mapping[str, Callable[[object], object]] = MappingProxyType(
    {
        "bind_address": _address,
        "node_port_addresses": _node_port_addresses,
        "healthz_bind_address": _host_and_port,
        "metrics_bind_address": _host_and_port,
        "admin_token_file": _text,
        "admin_socket": _absolute_path,
        "hostname_override": _text,
        "mode": _one_of(lambda: MODES),
        "keep_rules": _truth,
        "manifests": _paths,
        "manifest_bytes": _count,
        "services": _services,
        "client_connection": _client_connection,
        "in_cluster": _truth,
        "standalone": _truth,
        "api_bind_address": _host_and_port,
        "namespace": _namespace,
        "scheduler": _one_of(registry.names),
        "service_cluster_ip_range": _service_ranges,
        "external_ip_ranges": _ranges,
        "dns": _dns,
        "node_port_range": _port_range,
        "state_directory": _text,
        "capture": _one_of(lambda: CAPTURES),
        "shortcut": _shortcut,
        "shortcut_pins": _absolute_path,
        "grace": _duration,
        "connect_timeout": _positive_duration,
        "tcp_idle_timeout": _duration,
        "tcp_keep_alive": _keep_alive,
        "tcp_half_closed_timeout": _duration,
        "udp_idle_timeout": _duration,
        "workers": _workers,
        "worker_user": _user,
        "worker_timeout": _positive_duration,
        "buffer_bytes": _buffer_bytes,
        "affinity_entries": _affinity_entries,
        "udp_flows": _count,
        "log_format": _one_of(lambda: LOG_FORMATS),
        "log_level": _one_of(lambda: LOG_LEVELS),
        "metrics_per_endpoint": _truth,
        "access_log": _text,
        "access_log_sample": _share,
        "service_proxy_name": _text,
    }
)
