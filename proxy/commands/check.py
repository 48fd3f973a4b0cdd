"""`svcproxy check`: everything that is wrong with a configuration and manifests, before they are served.

Invariant: it touches no network and no state directory. What it accepts, `svcproxy run` with the same files and an
empty state directory accepts too.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import NamedTuple, TextIO

from msgspec.structs import replace

from proxy.cluster.cluster import Cluster, object_id
from proxy.cluster.ledger import Ledger
from proxy.configuration.config import Configuration, ConfigurationError
from proxy.configuration.flags import add_manifest_flags, configuration_from, manifest_paths
from proxy.configuration.settings import cluster_settings, plan_settings
from proxy.dns.name_places import name_places
from proxy.dns.settings import SocketAddress
from proxy.model.changes import Changes
from proxy.model.decoding import Object
from proxy.model.problem import Problem
from proxy.plain_text import plain
from proxy.plan.addresses import with_port
from proxy.plan.planner import Planner
from proxy.sources.manifest_file import ManifestFile, parse_manifest, subject_of
from proxy.sources.manifest_reader import ManifestReader
from proxy.sources.manifest_set import ManifestSet
from proxy.sources.service_line import manifest_of
from proxy.startup_error import StartupError

_NODE_NAME = "this-node"
_STANDARD_INPUT = "-"


_EPILOG = """\
examples:
  svcproxy check DIR                                       what is wrong with the manifests below DIR
  kustomize build overlay | svcproxy check -               or with what a program writes
  svcproxy check --config FILE                             or with a configuration
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add_manifest_flags(parser)


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print every problem, one a line and sorted, then a summary; 1 if there is any problem.

    Raises StartupError for paths that cannot be checked.
    """
    configuration, problems = _configuration(arguments, environment)
    paths = _paths(configuration.manifests)
    given = manifest_of(configuration.services)
    if not paths and not given and not arguments.config:
        raise StartupError(
            "nothing to check: name files or directories of manifests, - for standard input, or --config FILE"
        )
    if _STANDARD_INPUT in paths:
        given = (*given, parse_manifest("standard input", sys.stdin.buffer.read()))
    found = _check([path for path in paths if path != _STANDARD_INPUT], given, configuration)
    lines = sorted({str(problem) for problem in (*problems, *found.problems)})
    output.writelines(f"{plain(line)}\n" for line in (*lines, *map(str, found.left_out)))
    print(f"{found.summary}, {_counted(len(lines), 'problem')}", file=output)
    if arguments.config and not problems:
        print(_about_names(configuration), file=output)
    return 1 if lines else 0


class _Found(NamedTuple):
    """What is wrong, what is left out though nothing is wrong with it, and in a few words what there is."""

    problems: tuple[Problem, ...]
    left_out: tuple[Problem, ...]
    summary: str


def _about_names(configuration: Configuration) -> str:
    """Where the proxy would answer for names, which "auto" alone does not tell."""
    places = name_places(configuration)
    if places:
        return f"names are answered on {', '.join(_alternatives(each) for each in places)}"
    if configuration.dns.bind_address == "off":
        return "no names are answered: dns.bindAddress is off"
    if configuration.follows_cluster:
        return "no names are answered: the cluster has its own DNS; dns.bindAddress ADDR:PORT answers here as well"
    return "no names are answered: the service range has no tenth address; give one as dns.bindAddress"


def _alternatives(places: Sequence[SocketAddress]) -> str:
    return " or ".join(with_port(*each) for each in places)


def _configuration(
    arguments: argparse.Namespace, environment: Mapping[str, str]
) -> tuple[Configuration, tuple[Problem, ...]]:
    """The configuration, or the default one and what is wrong; manifests are checked either way."""
    if arguments.config and not os.path.isfile(arguments.config):
        raise StartupError(f"configuration {arguments.config} does not exist: correct --config")
    try:
        return configuration_from(arguments, environment), ()
    except ConfigurationError as error:
        return Configuration(manifests=manifest_paths(arguments)), error.problems


def _paths(paths: Sequence[str]) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for path in paths:
        if path != _STANDARD_INPUT and not os.path.exists(path):
            raise StartupError(f"{path} does not exist")
        real = os.path.realpath(path)
        if real in seen:
            raise StartupError(f"{path} is given twice" + (f", once as {seen[real]}" if seen[real] != path else ""))
        seen[real] = path
    return tuple(paths)


def _check(paths: Sequence[str], given: Sequence[ManifestFile], configuration: Configuration) -> _Found:
    reading = ManifestReader(paths, most_bytes=configuration.manifest_bytes, given=given).read(patient=False)
    manifests = ManifestSet()
    put, _ = manifests.update(reading.files)
    cluster = Cluster(cluster_settings(configuration, _NODE_NAME), Ledger(), Random(0))
    changes = cluster.apply(put, ())
    planner = Planner(plan_settings(configuration, _NODE_NAME))
    planner.apply(changes)
    places = {subject_of(item): manifests.place_of(object_id(item)) for item in put}
    planned = [replace(problem, where=places.get(problem.subject, "")) for problem in planner.problems()]
    problems = (*manifests.problems(cluster.refused), *reading.faults, *planned)
    return _Found(problems, manifests.left_out(cluster.left_out), _summary(put, changes, manifests.ignored))


def _summary(objects: Iterable[Object], changes: Changes, ignored: Iterable[str]) -> str:
    services = sum(object_id(item)[0] == "Service" for item in objects)
    endpoints = sum(len(each.endpoints) for each in changes.slices)
    words = [_counted(services, "Service"), _counted(endpoints, "endpoint")]
    others = sorted(Counter(ignored).items())
    if others:
        words.append(f"{', '.join(f'{number} {kind}' for kind, number in others)} ignored")
    return ", ".join(words)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
