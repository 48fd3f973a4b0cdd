"""`svcproxy get`: what the running proxy holds, in kubectl's columns or as data.

Talks to the admin address of a running proxy. Invariant: reads only, and imports little, so that it starts fast.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TextIO
from urllib.parse import quote

import msgspec

from proxy.admin.api_answers import ServicesAnswer
from proxy.apiserver.http.selectors import LabelSelector, label_selector
from proxy.client.admin_api import AdminAPI, NotFoundError, add_server_flags, admin_api
from proxy.client.asked import Asked, asked
from proxy.client.get_view import GetView, Wishes
from proxy.client.kinds import BY_NAME, KINDS, NAMES, Kind, Listing, Scope
from proxy.client.one_of import OneOf
from proxy.client.output_format import TABLE, ReadFormat
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
  svcproxy get svc/myapp ep/myapp              a Service and its endpoints
  svcproxy get svc,ep -l app=myapp             of all Services with a label
  svcproxy get endpoints myapp -o wide         its endpoints, with all they have carried
  svcproxy get svc -o custom-columns=NAME:.service.metadata.name,TYPE:.service.spec.type
  svcproxy get conn myapp --sort-by age        its connections, the oldest first
  svcproxy get affinity --watch                clients, as they are bound to endpoints and let go
  svcproxy get ep -w --output-watch-events -o json | jq -c '.[]'
"""
_KIND = OneOf("kind", NAMES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add = parser.add_argument
    kinds = ", ".join(map(_naming, sorted(set(NAMES.values()))))
    add("kind", metavar="KIND", help=f"{kinds}; several with commas between, or KIND/NAME")
    add("names", metavar="NAME", nargs="*", help="what belongs to these Services alone")
    add("-n", "--namespace", metavar="NAMESPACE", default="default", help="the namespace (default)")
    add("-A", "--all-namespaces", action="store_true", help="every namespace")
    add("-l", "--selector", metavar="LABELS", help="what belongs to Services with these labels, such as app=web,!old")
    add(
        "-o",
        "--output",
        metavar="FORMAT",
        type=ReadFormat(),
        default=TABLE,
        help="wide, json, yaml, name, jsonpath=TEMPLATE or custom-columns=HEADER:PATH,...",
    )
    add("-w", "--watch", action="store_true", help="go on, and show what is new, changes or goes")
    add("--output-watch-events", action="store_true", help="with --watch: say ADDED, MODIFIED or DELETED beside each")
    add("--sort-by", metavar="COLUMN", help="sort by a column; COLUMN- turns it round")
    add("--no-headers", action="store_true", help="leave the headers of the columns out")
    add_server_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print; exit status 1 where a named Service is not there. Raises StartupError."""
    questions = _questions(arguments)
    looks = [_look(question, arguments) for question in questions]
    api = admin_api(arguments, environment)
    listings = [_fetch(api, look) for look in looks]
    shown = [look.view.first(listing) for look, (listing, _) in zip(looks, listings, strict=True)]
    output.write("\n".join(text for text in shown if text))
    missing = [line for _, lines in listings for line in lines]
    for line in dict.fromkeys(missing):
        print(line, file=errors)
    for look, (listing, _) in zip(looks, listings, strict=True):
        for line in _remarks(api, look, listing):
            print(line, file=errors)
    while arguments.watch:
        output.flush()
        time.sleep(PAUSE)
        output.write(looks[0].view.next(_fetch(api, looks[0])[0]))
    return 1 if missing else 0


class _Look(NamedTuple):
    """One kind that is asked for; `selects` says of a Service's labels whether it is meant."""

    kind: Kind
    names: tuple[str, ...]
    namespace: str
    everywhere: bool
    selects: Callable[[Mapping[str, str]], bool] | None
    view: GetView
    is_data: bool


def _questions(arguments: argparse.Namespace) -> tuple[Asked, ...]:
    """What is asked for. Raises StartupError where it makes no sense together."""
    try:
        questions = asked((arguments.kind, *arguments.names), _KIND)
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise StartupError(f"get: {error}") from error
    for question in questions:
        kind = BY_NAME[question.kind]
        if question.names and (arguments.all_namespaces or not kind.namespaced):
            every = f"{question.kind} have" if not kind.namespaced else "--all-namespaces goes with"
            raise StartupError(f"get: {every} no NAME: leave {question.names[0]} out")
        if arguments.selector and (question.names or not kind.namespaced):
            raise StartupError("get: --selector goes with neither a NAME nor workers: leave one out")
    if arguments.output_watch_events and not arguments.watch:
        raise StartupError("get: --output-watch-events goes with --watch: add that")
    if arguments.watch and len(questions) > 1:
        raise StartupError("get: --watch goes with one kind: leave the others out")
    return questions


def _look(question: Asked, arguments: argparse.Namespace) -> _Look:
    kind = BY_NAME[question.kind]
    wishes = Wishes(
        arguments.output,
        arguments.all_namespaces,
        not arguments.no_headers,
        arguments.output_watch_events,
        arguments.sort_by or "",
    )
    try:
        view = GetView(kind, wishes, single=len(question.names) == 1 and kind is KINDS[0])
    except ValueError as error:
        raise StartupError(f"--sort-by: {error}") from error
    try:
        selector = label_selector(arguments.selector) if arguments.selector else None
    except ValueError as error:
        raise StartupError(f"--selector: {error}") from error
    return _Look(
        kind,
        question.names,
        arguments.namespace,
        arguments.all_namespaces,
        _selecting(selector),
        view,
        arguments.output.is_data,
    )


def _selecting(selector: LabelSelector | None) -> Callable[[Mapping[str, str]], bool] | None:
    return None if selector is None else lambda labels: selector({"metadata": {"labels": labels}})


def _fetch(api: AdminAPI, look: _Look) -> tuple[Listing, list[str]]:
    """What there is, and a line for each named Service that is not there."""
    if look.names:
        return _fetch_named(api, look)
    scope = Scope("" if look.everywhere else look.namespace)
    listing = look.kind.fetch(api, scope)
    if look.selects is None:
        return listing, []
    services = api.get("services", ServicesAnswer, namespace=scope.namespace).services
    meant = {each.service.key for each in services if look.selects(each.service.metadata.labels)}
    return listing._replace(things=[each for each in listing.things if look.kind.owner(each) in meant]), []


def _fetch_named(api: AdminAPI, look: _Look) -> tuple[Listing, list[str]]:
    things: list[Any] = []
    missing = []
    complete, remark = True, ""
    for name in look.names:
        scope = Scope(look.namespace, name)
        listing = look.kind.fetch(api, scope)
        things += listing.things
        complete &= listing.complete
        remark = listing.remark
        if not listing.things and not _is_known(api, scope):
            missing.append(f'service "{name}" not found in namespace {look.namespace}')
    return Listing(things, complete, remark), missing


def _is_known(api: AdminAPI, scope: Scope) -> bool:
    try:
        api.get(f"services/{quote(scope.namespace, '')}/{quote(scope.name, '')}", msgspec.Raw)
    except NotFoundError:
        return False
    return True


def _remarks(api: AdminAPI, look: _Look, listing: Listing) -> Sequence[str]:
    """What to say beside the things themselves."""
    plural = look.kind.names[0]
    if listing.remark and not look.is_data:
        return [listing.remark]
    if not listing.complete:
        return [f"only {len(listing.things)} {plural} are shown: name a Service to see its own"]
    if listing.things or look.names or look.is_data:
        return []
    if look.everywhere or not look.kind.namespaced:
        return [f"No {plural} found."]
    others = len(look.kind.fetch(api, Scope("")).things) if look.selects is None else 0
    elsewhere = f"; {others} in other namespaces (-A)" if others else ""
    return [f"No {plural} in namespace {look.namespace}{elsewhere}."]


def _naming(kind: str) -> str:
    """A kind with its shortest name."""
    shortest = min(BY_NAME[kind].names, key=len)
    return kind if shortest.startswith(kind[:-1]) else f"{kind} ({shortest})"
