"""What the demo tells its user once everything listens.

Invariant: every line to try works as printed, in another terminal; with short paths none is longer than 80 columns.
"""

import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from proxy.client.admin_api import DEFAULT_SERVER
from proxy.demo.places import Places
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.plain_text import plain
from proxy.reports.service_table import rows
from proxy.reports.table import render_table

_DNS_PORT = 53
_WIDTH = 78


def announcement(
    services: Iterable[Service],
    problems: Iterable[Problem],
    places: Places,
    page: str,
    name_servers: Sequence[tuple[str, int]],
    now: float,
    other: int = 0,
) -> str:
    """The table of Services, lines to try, and what to edit in `places`, and what of it does not listen.

    `page` is the URL of the proxy's page, empty where there is none; `name_servers` are the addresses where names are
    answered; `now` is in seconds since the epoch; `other` is the process of a demo that runs already, or 0.
    """
    by_name = {service.metadata.name: service for service in services}
    parts = [
        *_about_another(other),
        *_about_services(by_name, now),
        *_about_problems(problems),
        *_about_looking(page, places.command),
        *_about_trying(by_name),
        *_about_names(by_name, name_servers),
        _about_kubectl(by_name),
        "".join(f"  {line}\n" for line in _kubectl_lines(by_name, places.kubeconfig)),
        *_what_to_edit(by_name, places.manifests),
        "Ctrl-C ends the demo.\n",
    ]
    return "\n".join(parts)


def _about_another(other: int) -> list[str]:
    return [f"Another demo runs (pid {other}); this one has other ports.\n"] if other else []


def _about_services(services: Mapping[str, Service], now: float) -> list[str]:
    if not services:
        return ["Small servers play five web pods, a redis and an echo server.\nThere is no Service yet.\n"]
    header = ("NAME", "TYPE", "CLUSTER-IP", "PORT(S)")
    cells = [(row.name, row.type, row.cluster_ip, row.ports) for row in rows(services.values(), now)]
    return [
        "Small servers play five web pods, a redis and an echo server.\nsvcproxy answers for their Services:\n",
        render_table(header, cells),
    ]


def _about_problems(problems: Iterable[Problem]) -> list[str]:
    lines = [plain(str(problem)) for problem in problems]
    wrapped = [textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="    ") for line in lines]
    return ["This does not listen here, and everything else works:\n", "\n".join(wrapped) + "\n"] if wrapped else []


def _about_looking(page: str, command: str) -> list[str]:
    """Without a page nobody may look at the proxy."""
    if not page:
        return []
    server = urlsplit(page).netloc
    flag = "" if server == DEFAULT_SERVER else f" --server {server}"
    return [f"Watch it in a browser: {page}\n", f"Or in another terminal:\n\n  {command} top{flag}\n"]


def _about_trying(services: Mapping[str, Service]) -> list[str]:
    lines = [f"  {line}\n" for line in _lines_to_try(services)]
    return ["Try, in another terminal:\n", "".join(lines)] if lines else []


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


def _about_kubectl(services: Mapping[str, Service]) -> str:
    if "myapp" in services:
        return (
            "Or drive it with kubectl. The patch makes the loop stay with one pod,\nand None lets it go round again:\n"
        )
    return "Drive it with kubectl:\n"


def _kubectl_lines(services: Mapping[str, Service], kubeconfig: Path) -> list[str]:
    lines = [f"export KUBECONFIG={shlex.quote(str(kubeconfig))}", "kubectl get svc"]
    if not services:
        lines += ["kubectl create service nodeport myapp --tcp=80:80", "kubectl get endpoints myapp"]
    if "myapp" in services:
        lines.append("kubectl describe svc myapp")
        lines.append("""kubectl patch svc myapp -p '{"spec":{"sessionAffinity":"ClientIP"}}'""")
    return lines


def _what_to_edit(services: Mapping[str, Service], manifests: Path) -> list[str]:
    if "myapp" not in services:
        return [f"Or save a manifest in\n\n  {manifests}\n"]
    myapp = shlex.quote(str(manifests / "myapp.yaml"))
    return [
        "Or edit the manifests; a changed file replaces what kubectl made of it.\n"
        "This makes the loop stay as well:\n\n"
        f"  sed -i 's/y: None/y: ClientIP/' {myapp}\n"
    ]
