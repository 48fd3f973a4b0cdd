"""`svcproxy explain`: who would serve a client's next connection, and why.

Talks to the admin address of a running proxy. Invariant: asks, and changes nothing.
"""

import argparse
from collections.abc import Mapping
from typing import TextIO

import msgspec

from proxy.admin.explanation_report import ExplanationReport, ExplanationsAnswer, Verdict
from proxy.client.admin_api import AdminAPI, NotFoundError, add_server_flags, admin_api
from proxy.client.explain_target import parse_client, parse_target
from proxy.client.explanation_text import explanation_text
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
  svcproxy explain [fd00:96::10]:80
  svcproxy explain service myapp --from 10.0.0.7                every address of a Service
"""
_SERVICE = ("service", "services", "svc")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("what", metavar="ADDRESS:PORT[/PROTOCOL]", nargs="+", help='where the client goes, or "service NAME"')
    add("--from", dest="client", metavar="ADDRESS[:PORT]", help="the client; without it, anybody")
    add("-n", "--namespace", metavar="NAME", default="default", help="the Service's namespace (default)")
    add("-o", "--output", metavar="FORMAT", choices=("json", "yaml"), help="json or yaml")
    add_server_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print; exit status 1 where nobody would serve at some address. Raises StartupError."""
    query = _query(arguments)
    try:
        explanations = _ask(admin_api(arguments, environment), query)
    except NotFoundError as error:
        print(error, file=errors)
        return 1
    if not explanations:
        print(f"service {arguments.what[1]} has no such address: see svcproxy describe service", file=errors)
        return 1
    output.write(_render(explanations, arguments.output))
    return 0 if all(each.verdict is Verdict.SERVED for each in explanations) else 1


def _query(arguments: argparse.Namespace) -> dict[str, str]:
    """The question as the API takes it. Raises StartupError."""
    what: list[str] = arguments.what
    try:
        client, client_port = parse_client(arguments.client) if arguments.client else ("", 0)
        query = {"from": client, "fromPort": str(client_port or "")}
        if what[0] in _SERVICE and len(what) == 2:
            return query | {"namespace": arguments.namespace, "service": what[1]}
        if len(what) != 1 or what[0] in _SERVICE:
            raise ValueError(f'"{" ".join(what)}" must be one ADDRESS:PORT, or "service NAME"')
        target = parse_target(what[0])
    except ValueError as error:
        raise StartupError(f"explain: {error}") from error
    return query | {"protocol": target.protocol, "address": target.address, "port": str(target.port)}


def _ask(api: AdminAPI, query: Mapping[str, str]) -> tuple[ExplanationReport, ...]:
    return api.get("explain", ExplanationsAnswer, **query).explanations


def _render(explanations: tuple[ExplanationReport, ...], format: str | None) -> str:
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(explanations)).decode() + "\n"
    if format == "yaml":
        return msgspec.yaml.encode(explanations).decode()
    return "\n".join(map(explanation_text, explanations))
