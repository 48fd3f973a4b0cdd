"""Configuration values: from what a file or a flag says to the type that the program uses.

Imports the parts of the program that know what is valid. Invariant: a flag's text and a file's value of the same
meaning give the same result, and every refusal is a ValueError whose text says what would be accepted.
"""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from random import Random
from types import MappingProxyType

from proxy.client_connection import ClientConnection
from proxy.cluster.allocators import allocators_for
from proxy.model.duration import parse_duration
from proxy.model.field_errors import not_supported
from proxy.model.names import dns_label_messages
from proxy.schedulers import registry

PRIMARY = "primary"
_PORTS = range(65536)


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


def _duration(value: object) -> float:
    """Seconds; a bare 0 needs no unit, as in Go."""
    return parse_duration(value if isinstance(value, str) else str(value))


def _positive_duration(value: object) -> float:
    seconds = _duration(value)
    if seconds == 0:
        raise ValueError(f'invalid duration "{value}": must be more than 0')
    return seconds


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError(f"must be a whole number above 0, not {value!r}")


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


def _port_range(value: object) -> tuple[int, int]:
    text = _text(value)
    first, separator, last = text.partition("-")
    mistake = ValueError(f'"{text}" is not a range of ports: use for example 30000-32767')
    if not separator or not all(part.isascii() and part.isdecimal() for part in (first, last)):
        raise mistake
    if not 1 <= int(first) <= int(last) <= 65535:
        raise mistake
    return int(first), int(last)


_READERS: Mapping[str, Callable[[object], object]] = MappingProxyType(
    {
        "bind_address": _address,
        "node_port_addresses": _node_port_addresses,
        "healthz_bind_address": _host_and_port,
        "metrics_bind_address": _host_and_port,
        "admin_token_file": _text,
        "hostname_override": _text,
        "mode": _one_of(lambda: ("userspace",)),
        "manifests": _paths,
        "client_connection": _client_connection,
        "in_cluster": _truth,
        "standalone": _truth,
        "api_bind_address": _host_and_port,
        "namespace": _namespace,
        "scheduler": _one_of(registry.names),
        "service_cluster_ip_range": _service_ranges,
        "node_port_range": _port_range,
        "state_directory": _text,
        "grace": _duration,
        "connect_timeout": _positive_duration,
        "tcp_idle_timeout": _duration,
        "udp_idle_timeout": _duration,
        "affinity_entries": _count,
        "udp_flows": _count,
        "log_format": _one_of(lambda: ("auto", "human", "json")),
        "log_level": _one_of(lambda: ("debug", "info", "warning", "error")),
        "access_log": _text,
        "service_proxy_name": _text,
    }
)
