"""`svcproxy explain`: who would serve a client's next connection, and why; and what a close reason asks one to do.

Talks to the admin address of a running proxy, but for the reasons, which it knows. Invariant: asks, and changes
nothing.
"""

import argparse
import socket
from collections.abc import Mapping
from typing import TextIO

import msgspec

from proxy.client.admin_api import AdminAPI, NotFoundError, add_server_flags, admin_api
from proxy.client.close_reason_text import reason_reports, reason_table
from proxy.client.explain_target import is_host_name, parse_client, parse_service_name, parse_target
from proxy.client.explanation_text import explanation_text
from proxy.client.one_of import OneOf
from proxy.dataplane.close_reason import CloseReason
from proxy.plain_text import plain
from proxy.plan.addresses import with_port
from proxy.reports.explanation_report import ExplanationReport, ExplanationsAnswer, Verdict
from proxy.startup_error import StartupError

_EPILOG = """\
The steps are those of a real connection: the frontend (this very address before every address), the source ranges, the
gate, the worker, the affinity table and the scheduler. Nothing is changed by asking; a connection that comes first may
change the answer. Where a scheduler draws, the chances are told.

exit status:
  0  an endpoint would serve
  1  none would: refused, dropped, not served by this proxy, or it depends on a client that was not named
  2  a mistake in the arguments, or no proxy answers

examples:
  svcproxy explain 127.0.0.1:30080 --from 10.0.0.7
  svcproxy explain 127.96.0.10:53/udp --from 10.0.0.7:40000     a UDP flow that may be there already
  svcproxy explain localhost:30080
  svcproxy explain [fd00:96::10]:80
  svcproxy explain myapp.default.svc:80                         the addresses of a Service that have this port
  svcproxy explain svc/myapp --from 10.0.0.7                    every address of a Service
  svcproxy explain reason connect_refused                       what to do about a flow that ended so
  svcproxy explain reason                                       every reason that logs and metrics name
"""
_SERVICE = ("service", "services", "svc")
_REASON = ("reason", "reasons")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add = parser.add_argument
    add(
        "what",
        metavar="HOST:PORT[/PROTOCOL]",
        nargs="+",
        help='where the client goes: an address or a name, "service NAME", or "reason [NAME...]"',
    )
    add("--from", dest="client", metavar="ADDRESS[:PORT]", help="the client; without it, anybody")
    add("-n", "--namespace", metavar="NAMESPACE", default="default", help="the Service's namespace (default)")
    add("-o", "--output", metavar="FORMAT", choices=("json", "yaml"), help="json or yaml")
    add_server_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print; exit status 1 where nobody would serve at some address. Raises StartupError."""
    if arguments.what[0] in _REASON:
        output.write(_reasons(arguments))
        return 0
    query, port = _query(arguments)
    try:
        answers = _ask(admin_api(arguments, environment), query)
        explanations = tuple(each for each in answers if port is None or (each.protocol, each.port) == port)
    except NotFoundError as error:
        print(plain(str(error)), file=errors)
        return 1
    if not explanations:
        print(f"service {query['service']} has no such address: see svcproxy describe service", file=errors)
        return 1
    output.write(_render(explanations, arguments.output))
    return 0 if all(each.verdict is Verdict.SERVED for each in explanations) else 1


def _query(arguments: argparse.Namespace) -> tuple[dict[str, str], tuple[str, int] | None]:
    """The question as the API takes it, and the protocol and port that are meant of a Service, None for all. Raises
    StartupError."""
    what: list[str] = arguments.what
    kind, slash, name = what[0].partition("/")
    if slash and kind in _SERVICE:
        what = [kind, name, *what[1:]]
    try:
        client, client_port = parse_client(arguments.client) if arguments.client else ("", 0)
        query = {"from": client, "fromPort": str(client_port or "")}
        if what[0] in _SERVICE and len(what) == 2:
            return query | {"namespace": arguments.namespace, "service": what[1]}, None
        if len(what) != 1 or what[0] in _SERVICE:
            raise ValueError(f'"{" ".join(what)}" must be one ADDRESS:PORT, or "service NAME"')
        if (named := parse_service_name(what[0])) is not None:
            port = (named.protocol, named.port) if named.port else None
            return query | {"namespace": named.namespace or arguments.namespace, "service": named.name}, port
        target = parse_target(resolved(what[0]))
    except ValueError as error:
        raise StartupError(f"explain: {error}") from error
    return query | {"protocol": target.protocol, "address": target.address, "port": str(target.port)}, None


def resolved(text: str) -> str:
    """A target with the address of the host that it names. Raises ValueError where there is none."""
    place, slash, protocol = text.partition("/")
    host, _, port = place.rpartition(":")
    if not port.isdecimal() or not is_host_name(host) or (slash and protocol.lower() not in ("tcp", "udp")):
        return text
    try:
        address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise ValueError(f'"{host}" in "{text}" has no address: {error.strerror}') from error
    return f"{with_port(str(address), int(port))}{slash}{protocol}"


def _ask(api: AdminAPI, query: Mapping[str, str]) -> tuple[ExplanationReport, ...]:
    return api.get("explain", ExplanationsAnswer, **query).explanations


def _reasons(arguments: argparse.Namespace) -> str:
    """The named close reasons, or all. Raises StartupError."""
    by_name = {reason.value: reason for reason in CloseReason}
    known = OneOf("reason", {name: name for name in by_name})
    try:
        wanted = [by_name[known(name)] for name in arguments.what[1:]]
    except argparse.ArgumentTypeError as error:
        raise StartupError(f"explain: {error}") from error
    reports = reason_reports(wanted or CloseReason)
    return _data(reports, arguments.output) or reason_table(reports)


def _render(explanations: tuple[ExplanationReport, ...], format: str | None) -> str:
    return _data(explanations, format) or "\n".join(map(explanation_text, explanations))


def _data(reports: object, format: str | None) -> str:
    """Empty where a person shall read it."""
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(reports)).decode() + "\n"
    return msgspec.yaml.encode(reports).decode() if format == "yaml" else ""
