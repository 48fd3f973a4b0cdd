"""`svcproxy describe`: one Service of the running proxy in full.

Talks to the admin address of a running proxy. Invariant: reads only.
"""

import argparse
import time
from collections.abc import Mapping
from typing import TextIO

from proxy.admin.api_answers import ChangesAnswer, ProblemsAnswer, ServicesAnswer
from proxy.client.admin_api import add_server_flags, admin_api
from proxy.client.asked import asked
from proxy.client.describe_service import describe_service
from proxy.client.one_of import OneOf
from proxy.client.output_format import Format, data_text
from proxy.startup_error import StartupError

_KINDS = {"service": "service", "services": "service", "svc": "service"}
_EPILOG = """\
exit status:
  0  the Services are described
  1  a Service that was named is not there
  2  a mistake in the arguments, or no proxy answers

example:
  svcproxy describe service myapp     its addresses, endpoints, problems and recent changes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("kind", metavar="KIND", help="service (svc), or service/NAME")
    parser.add_argument("names", metavar="NAME", nargs="*", help="the Service (every one of the namespace)")
    parser.add_argument("-n", "--namespace", metavar="NAMESPACE", default="default", help="the namespace (default)")
    parser.add_argument("-o", "--output", metavar="FORMAT", choices=("json", "yaml"), help="json or yaml")
    add_server_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print; exit status 1 where a named Service is not there. Raises StartupError."""
    try:
        (question,) = asked((arguments.kind, *arguments.names), OneOf("kind", _KINDS))
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise StartupError(f"describe: {error}") from error
    api = admin_api(arguments, environment)
    services = api.get("services", ServicesAnswer, namespace=arguments.namespace).services
    by_name = {report.service.metadata.name: report for report in services}
    problems = api.get("problems", ProblemsAnswer).problems
    changes = api.get("changes", ChangesAnswer).changes
    names = question.names or tuple(by_name)
    found = [by_name[name] for name in names if name in by_name]
    if arguments.output:
        output.write(data_text(Format(arguments.output), found))
    else:
        output.write("\n\n".join(describe_service(each, problems, changes, time.time()) for each in found))
    missing = [name for name in names if name not in by_name]
    for name in missing:
        print(f'service "{name}" not found in namespace {arguments.namespace}', file=errors)
    if not names:
        print(f"No services in namespace {arguments.namespace}.", file=errors)
    return 1 if missing else 0
