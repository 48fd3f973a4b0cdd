"""The demo from start to end: servers, the proxy in front of them, and the words once everything listens.

Invariant: the servers run for as long as the proxy does.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TextIO

from proxy.demo.announcement import announcement
from proxy.demo.backends import running_backends
from proxy.demo.manifests import read_manifests
from proxy.demo.places import Places
from proxy.demo.pods import demo_pods
from proxy.demo.port_check import check_node_ports
from proxy.model.problem import Problem
from proxy.model.service import Service

OnListening = Callable[[Iterable[Service], Iterable[Problem], str, Sequence[tuple[str, int]]], None]
"""Called once, when the first state listens, with what the proxy holds, what it has to complain about, its page, and
where it answers for names."""

RunProxy = Callable[[OnListening], Awaitable[int]]
"""Runs the proxy until it is told to stop; returns the exit status."""

_ANOTHER_POD_PORT = (
    "run `svcproxy demo --state-dir DIR`, give the pod another containerPort in DIR/manifests/pods.yaml, "
    "and run it again"
)
_ANOTHER_NODE_PORT = "choose another one, for example `svcproxy demo --node-port 30081`"


async def demonstrate(places: Places, output: TextIO, run_proxy: RunProxy, other: int = 0) -> int:
    """Run the demo on the manifests in `places`; returns the proxy's exit status. `other` is the process of a demo that
    runs already, or 0.

    Raises DemoManifestError and PortUnavailableError, before the proxy is started.
    """
    found = read_manifests(places.manifests)

    def announce(
        services: Iterable[Service], problems: Iterable[Problem], page: str, name_servers: Sequence[tuple[str, int]]
    ) -> None:
        output.write(announcement(services, problems, places, page, name_servers, time.time(), other))
        output.flush()

    async with running_backends(demo_pods(found), _ANOTHER_POD_PORT) as served:
        check_node_ports((each for each in found if isinstance(each, Service)), _ANOTHER_NODE_PORT)
        status = await run_proxy(announce)
    output.write(f"\n{served.summary()}")
    return status
