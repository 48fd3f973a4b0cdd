"""`svcproxy get`: what the running proxy holds, in kubectl's columns or as data.

Talks to the admin address of a running proxy. Invariant: reads only, and imports little, so that it starts fast.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TextIO
from urllib.parse import quote

import msgspec

from proxy.client.admin_api import AdminAPI, NotFoundError, add_server_flags, admin_api
from proxy.client.columns import GONE, render, shown, sort
from proxy.client.kinds import BY_NAME, NAMES, Kind, Listing, Scope
from proxy.client.one_of import OneOf
from proxy.client.watch import DELETED, EVENT, News, Watch, of_news
from proxy.plain_text import plain
from proxy.startup_error import StartupError

PAUSE = 1.0
"""Seconds between two looks of a watch."""

_EPILOG = """\
with --watch:
  Every second, what is new or other than before is shown, and what has gone once more as it was last:
  its STATE (of affinity its LEFT, of names its TTL) is "gone". Ages and bytes alone are no news.
  -o json and yaml show a list each time; --output-watch-events tells in each what happened:
  ADDED, MODIFIED or DELETED, as kubectl does.

exit status:
  0  what was asked for is shown, or there is nothing
  1  a Service that was named is not there
  2  a mistake in the arguments, or no proxy answers

examples:
  svcproxy get svc -A                          every Service, and why one is not served
  svcproxy get endpoints myapp -o wide         its endpoints, with all they have carried
  svcproxy get conn myapp --sort-by age        its connections, the oldest first
  svcproxy get affinity --watch                clients, as they are bound to endpoints and let go
  svcproxy get ep -w --output-watch-events -o json | jq -c '.[]'
"""


def _json(things: Sequence[Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(things)).decode() + "\n"


def _yaml(things: Sequence[Any]) -> str:
    return msgspec.yaml.encode(things).decode()


_DATA: Mapping[str, Callable[[Sequence[Any]], str]] = MappingProxyType({"json": _json, "yaml": _yaml})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("kind", metavar="KIND", type=OneOf("kind", NAMES), help=", ".join(map(_naming, sorted(set(NAMES.values())))))
    add("names", metavar="NAME", nargs="*", help="what belongs to these Services alone")
    add("-n", "--namespace", metavar="NAME", default="default", help="the namespace (default)")
    add("-A", "--all-namespaces", action="store_true", help="every namespace")
    add("-o", "--output", metavar="FORMAT", choices=("wide", "json", "yaml", "name"), help="wide, json, yaml or name")
    add("-w", "--watch", action="store_true", help="go on, and show what is new, changes or goes")
    add("--output-watch-events", action="store_true", help="with --watch: say ADDED, MODIFIED or DELETED beside each")
    add("--sort-by", metavar="COLUMN", help="sort by a column; COLUMN- turns it round")
    add("--no-headers", action="store_true", help="leave the headers of the columns out")
    add_server_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print; exit status 1 where a named Service is not there. Raises StartupError."""
    kind = BY_NAME[arguments.kind]
    if arguments.names and (arguments.all_namespaces or not kind.namespaced):
        every = f"{kind.names[0]} have" if not kind.namespaced else "--all-namespaces goes with"
        raise StartupError(f"get: {every} no NAME: leave {arguments.names[0]} out")
    if arguments.output_watch_events and not arguments.watch:
        raise StartupError("get: --output-watch-events goes with --watch: add that")
    api = admin_api(arguments, environment)
    view = _View(kind, arguments)
    listing, missing = _fetch(api, kind, arguments)
    output.write(view.first(listing))
    for line in (*missing, *_remarks(listing, kind, arguments)):
        print(line, file=errors)
    while arguments.watch:
        output.flush()
        time.sleep(PAUSE)
        output.write(view.next(_fetch(api, kind, arguments)[0]))
    return 1 if missing else 0


class _View:
    """One way of showing, which the flags ask for."""

    def __init__(self, kind: Kind, arguments: argparse.Namespace) -> None:
        columns = shown(kind.columns, arguments.output == "wide")
        if not arguments.all_namespaces:
            columns = tuple(column for column in columns if column.header != "NAMESPACE")
        self._watch = Watch(columns, kind.identity)
        self._events: bool = arguments.output_watch_events
        self._columns = (*((EVENT,) if self._events else ()), *map(of_news, columns))
        self._kind = kind
        self._format = arguments.output
        self._headers = not arguments.no_headers
        self._sort_by = arguments.sort_by
        if self._sort_by:
            self._sorted([])

    def first(self, listing: Listing) -> str:
        """Everything, with headers."""
        return self._text(self._watch.look(listing.things), self._headers)

    def next(self, listing: Listing) -> str:
        """What is news since the last look."""
        news = self._watch.look(listing.things, listing.complete)
        return self._text(news, headers=False) if news else ""

    def _text(self, news: Sequence[News], headers: bool) -> str:
        found = self._sorted(news)
        if self._format in _DATA:
            return _DATA[self._format]([self._datum(each) for each in found])
        if self._format == "name":
            return "".join(map(self._name, found))
        return render(found, self._columns, headers) if found else ""

    def _datum(self, news: News) -> object:
        return {"type": news.event, "object": news.thing} if self._events else news.thing

    def _name(self, news: News) -> str:
        event = f"{news.event} " if self._events else ""
        name = plain(self._kind.name_of(news.thing))
        return f"{event}{name}{f' {GONE}' if news.event == DELETED else ''}\n"

    def _sorted(self, news: Sequence[News]) -> Sequence[News]:
        try:
            return sort(news, self._columns, self._sort_by) if self._sort_by else news
        except ValueError as error:
            raise StartupError(f"--sort-by: {error}") from error


def _fetch(api: AdminAPI, kind: Kind, arguments: argparse.Namespace) -> tuple[Listing, list[str]]:
    """What there is, and a line for each named Service that is not there."""
    if not arguments.names:
        return kind.fetch(api, Scope("" if arguments.all_namespaces else arguments.namespace)), []
    found: list[Any] = []
    missing = []
    complete, remark = True, ""
    for name in dict.fromkeys(arguments.names):
        scope = Scope(arguments.namespace, name)
        listing = kind.fetch(api, scope)
        found += listing.things
        complete &= listing.complete
        remark = listing.remark
        if not listing.things and not _is_known(api, scope):
            missing.append(f'service "{name}" not found in namespace {arguments.namespace}')
    return Listing(found, complete, remark), missing


def _is_known(api: AdminAPI, scope: Scope) -> bool:
    try:
        api.get(f"services/{quote(scope.namespace, '')}/{quote(scope.name, '')}", msgspec.Raw)
    except NotFoundError:
        return False
    return True


def _remarks(listing: Listing, kind: Kind, arguments: argparse.Namespace) -> list[str]:
    """What to say beside the things themselves."""
    plural = kind.names[0]
    if listing.remark and arguments.output not in _DATA:
        return [listing.remark]
    if not listing.complete:
        return [f"only {len(listing.things)} {plural} are shown: name a Service to see its own"]
    if listing.things or arguments.names or arguments.output in _DATA:
        return []
    where = "" if arguments.all_namespaces or not kind.namespaced else f" in namespace {arguments.namespace}"
    return [f"No {plural} found{where}."]


def _naming(kind: str) -> str:
    """A kind with its shortest name."""
    shortest = min(BY_NAME[kind].names, key=len)
    return kind if shortest.startswith(kind[:-1]) else f"{kind} ({shortest})"
