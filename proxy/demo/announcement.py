"""What the demo tells its user once everything listens.

Imports `model` and the tables of `admin`. Invariant: every line to try works as printed, in another terminal.
"""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from proxy.admin.service_table import render, rows
from proxy.model.problem import Problem
from proxy.model.service import Service


def announcement(services: Iterable[Service], problems: Iterable[Problem], manifests: Path, now: float) -> str:
    """The table of Services, lines to try, and what to edit in `manifests`; `problems` are in the log already.

    `now` is in seconds since the epoch.
    """
    by_name = {service.metadata.name: service for service in services}
    parts = [
        "Small servers play five web pods, a redis and an echo server; svcproxy answers for their Services:\n",
        render(rows(by_name.values(), now)),
        *_about_problems(len(tuple(problems))),
        "Try, in another terminal:\n",
        "".join(f"  {line}\n" for line in _lines_to_try(by_name)),
        _what_to_edit(manifests),
        "Ctrl-C ends the demo.\n",
    ]
    return "\n".join(parts)


def _about_problems(count: int) -> list[str]:
    if not count:
        return []
    return [f"The log above names {count} {'problem' if count == 1 else 'problems'}; everything else works.\n"]


def _lines_to_try(services: Mapping[str, Service]) -> list[str]:
    lines = []
    if "myapp" in services:
        node_port = services["myapp"].spec.ports[0].node_port
        lines.append(f"while true; do curl http://127.0.0.1:{node_port}/hostname.html; sleep 1; done")
        lines.append(f"curl http://127.0.0.1:{node_port}/")
    if "redis" in services:
        lines.append(f"echo PING | nc -w1 {services['redis'].spec.cluster_ip} 6379")
    if "echo" in services:
        address = services["echo"].spec.cluster_ip
        lines.append(f"echo hello over TCP | nc -w1 {address} 7007")
        lines.append(f"echo hello over UDP | nc -u -w1 {address} 7007")
    return lines


def _what_to_edit(manifests: Path) -> str:
    myapp = shlex.quote(str(manifests / "myapp.yaml"))
    return (
        f"The manifests are in {manifests}; edit them, and svcproxy follows at once.\n"
        "This makes the loop stay with one pod, and putting None back lets it go round again:\n\n"
        f"  sed -i 's/sessionAffinity: None/sessionAffinity: ClientIP/' {myapp}\n"
    )
