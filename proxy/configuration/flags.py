"""Flags: the settings that `svcproxy run` takes on its command line, and how they override the file.

Invariant: a flag that is given wins over the file, one that is not given changes nothing, and both pass through the
same readers of values.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config import Configuration, load_configuration
from proxy.configuration.config_values import read_dns_address, read_value
from proxy.sources.service_line import SHAPE
from proxy.startup_error import StartupError

STANDARD_ERROR = "-"


class _Flag(NamedTuple):
    """A flag for one field of Configuration."""

    name: str
    field: str
    placeholder: str
    help: str


_FLAGS = (
    _Flag("--namespace", "namespace", "NAME", "serve one namespace of the cluster alone (all)"),
    _Flag("--api-bind-address", "api_bind_address", "IP:PORT", "the API of --standalone (127.0.0.1:6443)"),
    _Flag("--scheduler", "scheduler", "NAME", "the scheduler of Services that do not name one (rr)"),
    _Flag("--mode", "mode", "MODE", "userspace, nftables or auto: who moves the packets (userspace)"),
    _Flag("--capture", "capture", "WAY", "auto, bind or sklookup (auto: bind unless the descriptors are too few)"),
    _Flag(
        "--shortcut",
        "shortcut",
        "WHERE",
        "off, auto or a cgroup v2 directory: a kernel path for local clients (off)",
    ),
    _Flag("--workers", "workers", "N", "how many processes forward (one a core); 0 forwards in this one"),
    _Flag("--state-dir", "state_directory", "DIR", "where given addresses are remembered (~/.local/state/svcproxy)"),
    _Flag("--grace", "grace", "DURATION", "how long connections may finish after SIGTERM (30s)"),
    _Flag("--metrics-bind-address", "metrics_bind_address", "IP:PORT", "metrics and admin (127.0.0.1:10249)"),
    _Flag("--admin-socket", "admin_socket", "PATH", "a Unix socket that answers its owner without the token (none)"),
    _Flag("--admin-token-file", "admin_token_file", "FILE", "the token that the metrics address asks for (none)"),
    _Flag("--healthz-bind-address", "healthz_bind_address", "IP:PORT", "health (0.0.0.0:10256)"),
    _Flag("--node-port-addresses", "node_port_addresses", "CIDRS", 'where node ports listen: CIDRs or "primary" (all)'),
    _Flag("--hostname-override", "hostname_override", "NAME", "this node's name (the machine's host name)"),
    _Flag("--log-format", "log_format", "FORMAT", "auto, human or json (auto: human on a terminal)"),
    _Flag("--access-log-sample", "access_log_sample", "SHARE", "of the ordinary endings in the access log (1)"),
    _Flag("--log-level", "log_level", "LEVEL", "debug, info, warning or error (info)"),
)


def add_manifest_flags(parser: argparse.ArgumentParser) -> None:
    """--config, manifests and --service, which every command that reads manifests has."""
    parser.add_argument("--config", metavar="FILE", help="a ProxyConfiguration file; flags override it")
    parser.add_argument("--manifests", metavar="PATH", action="append", help="the same as PATH (may be repeated)")
    parser.add_argument("paths", metavar="PATH", nargs="*", help="a manifest file, or a directory of them")
    parser.add_argument(
        "--service",
        metavar="LINE",
        action="append",
        help=f"a Service without a manifest, {SHAPE}, for example web:8000=127.0.0.1:3000,:3001 (may be repeated)",
    )


def add_configuration_flags(parser: argparse.ArgumentParser) -> None:
    """Every flag that `configuration_from` reads."""
    add_manifest_flags(parser)
    parser.add_argument("--kubeconfig", metavar="FILE", help="serve the cluster that this kubeconfig leads to")
    parser.add_argument("--context", metavar="NAME", help="which context of the kubeconfig (its current one)")
    parser.add_argument(
        "--in-cluster", action="store_true", default=None, help="serve the cluster that this proxy is a Pod of"
    )
    parser.add_argument(
        "--standalone", action="store_true", default=None, help="carry a Kubernetes API for kubectl on this machine"
    )
    for flag in _FLAGS:
        parser.add_argument(flag.name, dest=flag.field, metavar=flag.placeholder, help=flag.help)
    parser.add_argument(
        "--dns",
        metavar="ADDR:PORT|off",
        help="where the names of Services are answered (10th address of the range; with a cluster, off)",
    )
    parser.add_argument(
        "--access-log",
        metavar="FILE",
        nargs="?",
        const=STANDARD_ERROR,
        help="one line a connection, to FILE or to standard error",
    )


def configuration_from(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Configuration:
    """The file named by --config, overridden by the flags that were given, with the state directory filled in.

    Raises StartupError; ConfigurationError where it is the file's fault.
    """
    configuration = load_configuration(arguments.config) if arguments.config else Configuration()
    given: dict[str, object] = {}
    for flag in _FLAGS:
        text = getattr(arguments, flag.field, None)
        if text is not None:
            given[flag.field] = _read(flag, text)
    if manifests := manifest_paths(arguments):
        given["manifests"] = manifests
    if getattr(arguments, "service", None) is not None:
        given["services"] = _read_services(arguments.service)
    for name in ("access_log", "in_cluster", "standalone"):
        if getattr(arguments, name, None) is not None:
            given[name] = getattr(arguments, name)
    given["client_connection"] = _client_connection(arguments, configuration.client_connection)
    if getattr(arguments, "dns", None) is not None:
        given["dns"] = replace(configuration.dns, bind_address=_read_dns_address(arguments.dns))
    configuration = replace(configuration, **given)
    if configuration.state_directory:
        return configuration
    return replace(configuration, state_directory=default_state_directory(environment))


def manifest_paths(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The manifests that the arguments name."""
    return (*(arguments.manifests or ()), *getattr(arguments, "paths", ()))


def _client_connection(arguments: argparse.Namespace, from_file: ClientConnection) -> ClientConnection:
    given = {name: getattr(arguments, name, None) for name in ClientConnection.__struct_fields__}
    return replace(from_file, **{name: text for name, text in given.items() if text is not None})


def default_state_directory(environment: Mapping[str, str]) -> str:
    """$XDG_STATE_HOME/svcproxy or ~/.local/state/svcproxy (XDG Base Directory Specification 0.8)."""
    home = environment.get("XDG_STATE_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(environment.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "svcproxy")


def _read_services(lines: Sequence[str]) -> object:
    try:
        return read_value("services", lines)
    except ValueError as error:
        raise StartupError(f"--service: {error}") from error


def _read_dns_address(text: str) -> object:
    try:
        return read_dns_address(text)
    except ValueError as error:
        raise StartupError(f"--dns: {error}") from error


def _read(flag: _Flag, text: str) -> object:
    try:
        return read_value(flag.field, text)
    except ValueError as error:
        raise StartupError(f"{flag.name}: {error}") from error
