"""What the demo tells its user once everything listens.

Imports `model`, the tables of `admin`, where `client` looks for a proxy, and this room. Invariant: every line to try
works as printed, in another terminal.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from proxy.client.admin_api import DEFAULT_SERVER
from proxy.demo.places import Places
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.reports.service_table import render, rows

_DNS_PORT = 53


def announcement(
    services: Iterable[Service],
    problems: Iterable[Problem],
    places: Places,
    page: str,
    name_servers: Sequence[tuple[str, int]],
    now: float,
) -> str:
    """The table of Services, lines to try, and what to edit in `places`; `problems` are in the log already.

    `page` is the URL of the proxy's page, empty where there is none; `name_servers` are the addresses where names are
    answered; `now` is in seconds since the epoch.
    """
    by_name = {service.metadata.name: service for service in services}
    parts = [
        "Small servers play five web pods, a redis and an echo server; svcproxy answers for their Services:\n",
        render(rows(by_name.values(), now)),
        *_about_problems(len(tuple(problems))),
        *_about_looking(page, places.command),
        "Try, in another terminal:\n",
        "".join(f"  {line}\n" for line in _lines_to_try(by_name)),
        *_about_names(by_name, name_servers),
        "Or drive it with kubectl; the patch makes the loop stay with one pod, and None lets it go round again:\n",
        "".join(f"  {line}\n" for line in _kubectl_lines(by_name, places.kubeconfig)),
        _what_to_edit(places.manifests),
        "Ctrl-C ends the demo.\n",
    ]
    return "\n".join(parts)


def _about_problems(count: int) -> list[str]:
    if not count:
        return []
    return [f"The log above names {count} {'problem' if count == 1 else 'problems'}; everything else works.\n"]


def _about_looking(page: str, command: str) -> list[str]:
    """Without a page nobody may look at the proxy."""
    if not page:
        return []
    server = urlsplit(page).netloc
    flag = "" if server == DEFAULT_SERVER else f" --server {server}"
    return [f"Watch it in a browser: {page}\n", f"Or in another terminal:\n\n  {command} top{flag}\n"]


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


def _about_names(services: Mapping[str, Service], name_servers: Sequence[tuple[str, int]]) -> list[str]:
    """dig's lines; a Service without an address has its endpoints' addresses."""
    if not name_servers:
        return []
    host, port = name_servers[0]
    at = f"@{host}" if port == _DNS_PORT else f"@{host} -p {port}"
    names = (f"{name}.{service.metadata.namespace}.svc.cluster.local." for name, service in services.items())
    lines = [f"dig -t A {name} {at}" for name in names if name.startswith("myapp")]
    return ["Services are found by their names:\n", "".join(f"  {line}\n" for line in lines)] if lines else []


def _kubectl_lines(services: Mapping[str, Service], kubeconfig: Path) -> list[str]:
    lines = [f"export KUBECONFIG={shlex.quote(str(kubeconfig))}", "kubectl get svc"]
    if "myapp" in services:
        lines.append("kubectl describe svc myapp")
        lines.append("""kubectl patch svc myapp -p '{"spec":{"sessionAffinity":"ClientIP"}}'""")
    return lines


def _what_to_edit(manifests: Path) -> str:
    myapp = shlex.quote(str(manifests / "myapp.yaml"))
    return (
        f"Or edit the manifests in {manifests}; what a changed file says replaces what kubectl\n"
        "made of it. This makes the loop stay as well:\n\n"
        f"  sed -i 's/sessionAffinity: None/sessionAffinity: ClientIP/' {myapp}\n"
    )
