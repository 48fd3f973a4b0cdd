"""`svcproxy get`: what the running proxy holds, in kubectl's columns or as data.

Talks to the admin address of a running proxy. Invariant: reads only, and imports little, so that it starts fast.
"""

import argparse
import http.client
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TextIO

import msgspec

from proxy.admin.endpoint_table import render_endpoints
from proxy.admin.report import ProxyReport, ServiceReport
from proxy.admin.service_state import state_of
from proxy.admin.service_table import rows
from proxy.admin.table import render_table
from proxy.startup_error import StartupError

DEFAULT_SERVER = "127.0.0.1:10249"
_TIMEOUT = 10.0

_KINDS: Mapping[str, str] = MappingProxyType(
    {"services": "services", "service": "services", "svc": "services", "endpoints": "endpoints", "ep": "endpoints"}
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="services (svc) or endpoints (ep)")
    parser.add_argument("name", metavar="NAME", nargs="?", help="one Service only")
    parser.add_argument("-n", "--namespace", metavar="NAME", default="default", help="the namespace (default)")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="every namespace")
    parser.add_argument("-o", "--output", metavar="FORMAT", choices=("wide", "json", "yaml"), help="wide, json or yaml")
    parser.add_argument("--server", metavar="IP:PORT", help=f"the proxy's metricsBindAddress ({DEFAULT_SERVER})")


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print; exit status 1 where a named Service is not there. Raises StartupError."""
    kind = _KINDS.get(arguments.kind)
    if kind is None:
        raise StartupError(f'get: unknown kind "{arguments.kind}": it is services or endpoints')
    report = _fetch(arguments.server or environment.get("SVCPROXY_SERVER") or DEFAULT_SERVER)
    services = [each for each in report.services if _is_wanted(each, arguments)]
    if not services:
        where = "" if arguments.all_namespaces else f" in namespace {arguments.namespace}"
        found = f'service "{arguments.name}" not found{where}' if arguments.name else f"No services found{where}."
        print(found, file=errors)
        return 1 if arguments.name else 0
    output.write(_render(kind, services, arguments))
    return 0


def _is_wanted(report: ServiceReport, arguments: argparse.Namespace) -> bool:
    namespace, name = report.service.key
    return (arguments.all_namespaces or namespace == arguments.namespace) and arguments.name in (None, name)


def _render(kind: str, services: list[ServiceReport], arguments: argparse.Namespace) -> str:
    data: dict[str, Callable[[object], bytes]] = {"json": _json, "yaml": msgspec.yaml.encode}
    if arguments.output in data:
        return data[arguments.output](services).decode().rstrip("\n") + "\n"
    if kind == "endpoints":
        return render_endpoints(services, namespaces=arguments.all_namespaces)
    return _service_table(services, arguments.all_namespaces, arguments.output == "wide")


def _json(services: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(services))


def _service_table(services: list[ServiceReport], namespaces: bool, wide: bool) -> str:
    """kubectl's columns, and STATE behind them."""
    header = ["NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
    states = {report.service.key: state_of(report) for report in services}
    table = rows((report.service for report in services), time.time(), wide=wide)
    shown = slice(0 if namespaces else 1, None if wide else -1)
    cells = [[*row[shown], states[row.namespace, row.name]] for row in table]
    return render_table([*header[shown], "STATE"], cells)


def _fetch(server: str) -> ProxyReport:
    """The running proxy's report. Raises StartupError where nobody answers."""
    host, _, port = server.rpartition(":")
    if not host or not port.isdecimal():
        raise StartupError(f'get: --server must be IP:PORT, not "{server}"')
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_TIMEOUT)
    try:
        connection.request("GET", "/api/v1/report")
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise StartupError(f"get: {server} answered {response.status}: is it svcproxy's metricsBindAddress?")
        return msgspec.json.decode(body, type=ProxyReport)
    except (OSError, http.client.HTTPException) as error:
        raise StartupError(
            f"get: no svcproxy answers on {server} ({error}): start one, or name its metricsBindAddress with --server"
        ) from error
    except msgspec.MsgspecError as error:
        raise StartupError(f"get: what {server} answers is not svcproxy's: {error}") from error
    finally:
        connection.close()
