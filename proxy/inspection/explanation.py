"""Explains a decision: which frontend, gate, worker, affinity entry and scheduler would decide for a client, and whom.

Pure: what is live is passed in. Invariant: every step is decided as the running code decides it, in the order in which
it does.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from proxy.capture.gate import Gate, gate_of
from proxy.capture.source_ranges import admitted
from proxy.capture.steering import ANY_WORKER
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.foresight import Foresight
from proxy.inspection import explanation_words as words
from proxy.paths.path_list import RELAYED, PathsOf
from proxy.plan.frontend import Frontend, FrontendKey, Pool
from proxy.reports.explanation_report import EndpointChance, ExplanationReport, Step, Verdict

_CERTAIN = 0.999999


class Asked(NamedTuple):
    """The question. `client` may be empty, `client_port` 0. `address` is that of the frontend where a Service is
    explained as a whole."""

    protocol: str
    address: str
    port: int
    client: str = ""
    client_port: int = 0


class Found(NamedTuple):
    """The frontend that the kernel leads to and its pool. `fault` is why it has no socket though it should, `note` why
    the pool is empty or leaves endpoints out."""

    frontend: Frontend
    pool: Pool
    listening: bool
    fault: str = ""
    paths: PathsOf = RELAYED
    note: str = ""


def find(
    asked: Asked, frontends: Mapping[FrontendKey, Frontend], is_listening: Callable[[FrontendKey], bool]
) -> Frontend | None:
    """The frontend that gets what is sent there: as in the kernel's look-up, a socket of this very address goes before
    one of every address. Where neither has a socket, the one that should have it."""
    wildcard = "::" if ":" in asked.address else "0.0.0.0"
    keys = [FrontendKey(asked.protocol, address, asked.port) for address in (asked.address, wildcard)]
    known = [key for key in keys if key in frontends]
    return next((frontends[key] for key in [*filter(is_listening, known), *known]), None)


def explain_unknown(asked: Asked, is_local: bool) -> ExplanationReport:
    """No frontend of this proxy leads to where the client asks."""
    steps = (Step("frontend", words.no_frontend(asked.protocol, asked.address, asked.port, is_local)),)
    return ExplanationReport(*asked[:4], Verdict.NOT_PROXIED, (), steps=steps)


def as_met(frontend: Frontend, client: str) -> Frontend:
    """The frontend as the client meets it: those of this machine may have a pool of their own."""
    if not (client and frontend.own_pool and admitted(frontend.own_sources, client)):
        return frontend
    return msgspec.structs.replace(frontend, pool=frontend.own_pool, when_empty="refuse")


def stopped(asked: Asked, found: Found) -> ExplanationReport | None:
    """The decision where the client gets as far as to no worker, or None where a worker decides."""
    frontend = found.frontend
    steps = _entry(asked, found)
    if found.fault:
        return _report(asked, found, Verdict.NOT_PROXIED, (steps[0], Step("socket", words.fault(found.fault))))
    if admitted(frontend.source_ranges, asked.client) is False:
        return _report(asked, found, Verdict.DROPPED, steps)
    gate = _gate(found)
    if gate is Gate.DROPPED:
        return _report(asked, found, Verdict.DROPPED, steps)
    # A UDP frontend without a usable endpoint has a socket only for the flows of those that are drained.
    if gate is Gate.REFUSED and not (asked.protocol == "UDP" and found.listening):
        return _report(asked, found, Verdict.REFUSED, steps)
    return None


def explain(asked: Asked, found: Found, worker: int, foresights: Mapping[int, Foresight]) -> ExplanationReport:
    """The decision of a worker. `worker` is the one that the client is steered to, or ANY_WORKER; `foresights` are
    those of every worker that may be the one."""
    endpoints = _merged(foresights.values())
    steps = [*_entry(asked, found), Step("pool", words.pool(found.pool))]
    if len(foresights) > 1 or worker > 0:
        steps.append(Step("worker", words.worker(worker, len(foresights))))
    for number, foresight in foresights.items():
        prefix = f"worker {number}: " if len(foresights) > 1 else ""
        steps += [Step(name, prefix + text) for name, text in words.choice(asked.client, found.pool, foresight)]
    verdict = _verdict(asked, found, foresights.values(), endpoints)
    return _report(asked, found, verdict, tuple(steps), endpoints, worker)


def _entry(asked: Asked, found: Found) -> tuple[Step, ...]:
    """The steps before a worker's."""
    frontend, ranges = found.frontend, found.frontend.source_ranges
    steps = [Step("frontend", words.frontend(frontend, asked.address))]
    if ranges:
        steps.append(Step("sources", words.sources(ranges, asked.client)))
    if admitted(ranges, asked.client) is not False:
        if found.paths != RELAYED:
            steps.append(Step("path", words.paths(found.paths)))
        steps.append(Step("gate", words.gate(_gate(found), found.pool, found.note)))
    return tuple(steps)


def _gate(found: Found) -> Gate:
    return gate_of(found.frontend, usable=any(target.weight > 0 for target in found.pool.targets))


def _merged(foresights: Iterable[Foresight]) -> tuple[EndpointChance, ...]:
    """Each endpoint with its chance over all workers that may be the one, the likeliest first."""
    every = list(foresights)
    chances: dict[tuple[str, str], float] = {}
    for foresight in every:
        for endpoint, pod, chance in _outcomes(foresight):
            chances[endpoint, pod] = chances.get((endpoint, pod), 0.0) + chance / len(every)
    ordered = sorted(chances.items(), key=lambda item: (-item[1], item[0]))
    return tuple(EndpointChance(*place, 1.0 if chance > _CERTAIN else chance) for place, chance in ordered)


def _outcomes(foresight: Foresight) -> list[tuple[str, str, float]]:
    flow = foresight.flow
    candidates = (flow,) if flow is not None else foresight.candidates
    return [(each.endpoint, each.pod, each.chance) for each in candidates]


def _verdict(
    asked: Asked, found: Found, foresights: Iterable[Foresight], endpoints: tuple[EndpointChance, ...]
) -> Verdict:
    if admitted(found.frontend.source_ranges, asked.client) is None:
        return Verdict.UNDECIDED
    if endpoints:
        return Verdict.SERVED
    if not asked.client and any(foresight.keyed_by == "source" for foresight in foresights):
        return Verdict.UNDECIDED
    return Verdict.RESET if asked.protocol == "TCP" else Verdict.DROPPED


def _report(
    asked: Asked,
    found: Found,
    verdict: Verdict,
    steps: tuple[Step, ...],
    endpoints: tuple[EndpointChance, ...] = (),
    worker: int = ANY_WORKER,
) -> ExplanationReport:
    key = found.frontend.key
    return ExplanationReport(
        protocol=asked.protocol,
        address=asked.address,
        port=asked.port,
        client=asked.client,
        verdict=verdict,
        endpoints=endpoints,
        frontend=f"{endpoint_text(key.address, key.port)}/{key.protocol}",
        service=found.frontend.service,
        pool=found.pool.key,
        worker=worker,
        steps=steps,
    )
