"""`svcproxy top`: connections and bytes a second, by Service and by endpoint, as they are now.

Talks to the admin address of a running proxy; the screen is drawn by textual, which is imported for it alone.
Invariant: reads only.
"""

import argparse
import time
from collections.abc import Mapping
from typing import TextIO

import msgspec

from proxy.client.admin_api import add_server_flags, admin_api
from proxy.client.columns import Column
from proxy.client.live_feed import LiveFeed
from proxy.client.top_columns import ENDPOINTS, SERVICES
from proxy.client.top_text import endpoints, services, table
from proxy.startup_error import StartupError

_SHORTEST_DELAY, _LONGEST_DELAY = 0.1, 3600.0
_EPILOG = """\
on the screen:
  Enter           the endpoints of the Service under the cursor; Escape goes back
  c a i o f n     sort by connections a second, active connections, bytes in, bytes out, failures, name
  /               show only what has a text in its name; Escape shows everything
  p               hold the picture; q quits

exit status:
  0  the end was asked for, or --once is done
  1  the Service that was named is not there (--once)
  2  a mistake in the arguments, or no proxy answers

examples:
  svcproxy top                              on a terminal
  svcproxy top --once --sort-by out/s       one table, for a pipe
  svcproxy top -b -d 10 myapp               the endpoints of myapp every ten seconds
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("name", metavar="NAME", nargs="?", help="the endpoints of this Service, also as svc/NAME")
    add("-n", "--namespace", metavar="NAMESPACE", help="of one namespace (all; of NAME: default)")
    add("-A", "--all-namespaces", action="store_true", help="of every namespace, as it is without -n")
    add("--once", action="store_true", help="print one table of plain text, and end")
    add("-b", "--batch", action="store_true", help="print a table of plain text again and again")
    add("-d", "--delay", metavar="SECONDS", type=_delay, default=2.0, help="from one look to the next (2)")
    add("--sort-by", metavar="COLUMN", default="conn/s", help="the order to begin with (conn/s)")
    add_server_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Show until told to stop, or once. Raises StartupError."""
    if arguments.name and "/" in arguments.name:
        kind, _, arguments.name = arguments.name.partition("/")
        if kind not in ("svc", "service", "services"):
            raise StartupError(f'top: "{kind}" has no endpoints: name a Service, or svc/NAME')
    view = _View(arguments)
    api = admin_api(arguments, environment)
    # The stream is there before there is anything to see, and this is not.
    api.get("workers", msgspec.Raw)
    with LiveFeed(api) as feed:
        feed.wait()
        if not (arguments.once or arguments.batch) and output.isatty():
            return _screen(feed, view, arguments)
        return _print(feed, view, arguments, output, errors)


class _View:
    """What the arguments ask to see."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.service = f"{arguments.namespace or 'default'}/{arguments.name}" if arguments.name else ""
        self.columns: tuple[Column, ...] = ENDPOINTS if arguments.name else SERVICES
        self.namespace = f"{arguments.namespace}/" if arguments.namespace else ""
        self.by = arguments.sort_by
        known = [column.header for column in self.columns]
        if self.by.upper().removesuffix("-") not in known:
            raise StartupError(f'top: --sort-by: there is no column "{self.by}": it is one of {", ".join(known)}')


def _print(feed: LiveFeed, view: _View, arguments: argparse.Namespace, output: TextIO, errors: TextIO) -> int:
    feed.measure(time.monotonic())
    while True:
        time.sleep(arguments.delay)
        lines = [line for line in feed.measure(time.monotonic()) if line.name.startswith(view.namespace)]
        if feed.fault:
            raise StartupError(f"top: {feed.fault}")
        if view.service and all(line.name != view.service for line in lines):
            print(f'service "{arguments.name}" not found in namespace {arguments.namespace or "default"}', file=errors)
            return 1
        found = endpoints(lines, view.service, view.by) if view.service else services(lines, view.by)
        output.write(table(found, view.columns))
        output.flush()
        if not arguments.batch:
            return 0
        output.write("\n")


def _screen(feed: LiveFeed, view: _View, arguments: argparse.Namespace) -> int:
    try:
        from proxy.client.top_screen import TopScreen
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(("textual", "rich")):
            raise
        message = "top: the screen needs textual: pip install 'svcproxy[top]', or use --batch or --once"
        raise StartupError(message) from error
    app = TopScreen(feed, delay=arguments.delay, by=view.by, service=view.service, namespace=view.namespace)
    app.run()
    return app.return_code or 0


def _delay(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_DELAY <= seconds <= _LONGEST_DELAY:
        limits = f"{_SHORTEST_DELAY:g} to {_LONGEST_DELAY:g}"
        raise argparse.ArgumentTypeError(f"must be seconds from {limits}, not {text!r}")
    return seconds
