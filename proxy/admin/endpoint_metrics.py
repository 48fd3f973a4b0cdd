"""The endpoints of each Service by state, as samples.

Invariant: every Service with an address has its sample of `ready`, also where that is 0; the other states are there
where they are not.
"""

import asyncio
from collections.abc import Iterable
from time import perf_counter

from proxy.admin.sample_text import CounterText
from proxy.admin.turns import TURN
from proxy.reports.endpoint_report import ServiceEndpoints

NAME = "svcproxy_service_endpoints"
_TEXT = CounterText(NAME)
_HEAD = f"# HELP {NAME} Endpoints of a Service: ready, failing (set aside) or draining.\n# TYPE {NAME} gauge\n".encode()


async def endpoint_samples(services: Iterable[ServiceEndpoints | None]) -> bytes:
    """The family as text, empty where there is no Service; others get their turn meanwhile."""
    lines: list[bytes] = []
    begun = perf_counter()
    for each in services:
        if each is not None:
            lines += _samples(each)
        elif perf_counter() - begun >= TURN:
            await asyncio.sleep(0)
            begun = perf_counter()
    return b"".join((_HEAD, *lines)) if lines else b""


def _samples(each: ServiceEndpoints) -> Iterable[bytes]:
    labels = f'namespace="{each.namespace}",service="{each.service}",state='
    yield _TEXT.of(f'{labels}"ready"'.encode(), each.ready)
    for state, number in (("failing", each.failing), ("draining", each.draining)):
        if number:
            yield _TEXT.of(f'{labels}"{state}"'.encode(), number)
