"""The words of an explanation, step by step.

Pure. Invariant: one line a step, which says what happens there and, where it stops the client or leaves something open,
the way on.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from proxy.capture.gate import Gate
from proxy.capture.source_ranges import admitted
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.foresight import Foresight
from proxy.paths.path_list import PathsOf
from proxy.plan.frontend import Frontend, Pool
from proxy.reports.human_duration import human_duration

_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "rr": "{} is next in turn",
        "wrr": "{} is next in turn, by weight",
        "lc": "{} has the fewest connections",
        "wlc": "{} has the fewest connections for its weight",
        "sed": "{} has the shortest expected wait",
        "nq": "{} is idle or has the shortest expected wait",
        "sh": "the client's address leads to {}",
        "mh": "the client's address leads to {}",
        "dh": "the address asked for leads to {}",
        "lblc": "{} serves the address asked for, or is the least loaded",
        "lblcr": "{} is the least loaded of those that serve the address asked for",
        "fo": "{} is the heaviest that can be used",
        "ovf": "{} is the heaviest with room",
        "twos": "{} can be the only one",
        "random": "{} can be the only one",
    }
)
_DRAWS: Mapping[str, str] = MappingProxyType(
    {"twos": "the less loaded of two that are drawn by weight", "random": "drawn by weight"}
)


def no_frontend(protocol: str, address: str, port: int, is_local: bool) -> str:
    text = f"no Service has {endpoint_text(address, port)}/{protocol}, nor this port on every address"
    return text if is_local else f"{text}; {address} is no address of this machine"


def fault(reason: str) -> str:
    return f"does not listen: {reason}"


def frontend(chosen: Frontend, address: str) -> str:
    key = chosen.key
    text = f"{endpoint_text(key.address, key.port)}/{key.protocol}, {chosen.kind} of {chosen.service}"
    return text if key.address == address else f"{text} on every address; nothing listens on {address} alone"


def sources(ranges: Sequence[str], client: str) -> str:
    listed = ", ".join(ranges)
    if not client:
        return f"loadBalancerSourceRanges let in {listed} alone: name a client with --from"
    if admitted(ranges, client):
        return f"{client} is let in by loadBalancerSourceRanges {listed}"
    return f"{client} is in none of loadBalancerSourceRanges {listed}: its packets are dropped"


def paths(taken: PathsOf) -> str:
    """Which ways the packets take, and why not the others."""
    *first, last = taken.paths
    text = f"{first[0]} for clients of this machine, {last} for all others" if first else last
    return f"{text} ({'; '.join(taken.reasons)})" if taken.reasons else text


def gate(state: Gate, pool: Pool, note: str) -> str:
    number = len(pool.targets)
    usable = sum(target.weight > 0 for target in pool.targets)
    if state is Gate.OPEN:
        return f"open: {usable} of {_counted(number)} may get new connections"
    if state is Gate.DROPPED:
        return "silent: policy Local, and the endpoints are on other nodes, where a retry may go"
    reason = note or "no endpoints that are ready"
    return "refused by the kernel: " + (f"{_counted(number)}, drained" if number else reason)


def pool(chosen: Pool) -> str:
    return f"{chosen.key}, {_counted(len(chosen.targets))}"


def worker(steered: int, possible: int) -> str:
    if steered >= 0:
        return f"{steered}, by the client's address"
    return f"any of {possible}: the kernel chooses by both addresses and ports"


def choice(client: str, chosen_pool: Pool, foresight: Foresight) -> Iterator[tuple[str, str]]:
    """The names and texts of a worker's steps."""
    flow = foresight.flow
    if flow is not None:
        yield "flow", f"{client} has a flow to {flow.endpoint} already, and its datagrams go there"
        return
    yield "affinity", _affinity(client, chosen_pool.affinity_seconds, foresight)
    if foresight.failing:
        listed = ", ".join(f"{place} for {human_duration(left)}" for place, left in foresight.failing.items())
        yield "failing", f"avoided, because they refused: {listed}"
    if foresight.binding is None or foresight.binding.ignored:
        yield "scheduler", f"{foresight.scheduler}: {_scheduler(client, foresight)}"


def _affinity(client: str, timeout: int, foresight: Foresight) -> str:
    if not timeout:
        return "none"
    kind = f"ClientIP for {human_duration(timeout)}"
    binding = foresight.binding
    if not client:
        return f"{kind}: name a client with --from to know whether it is bound; this is for one that is not"
    if binding is None:
        return f"{kind}: {client} is not bound yet, and will be to the endpoint that is chosen"
    bound = f"{kind}: {client} is bound to {binding.endpoint} for another {human_duration(binding.seconds_left)}"
    return f"{bound}, which {_IGNORED[binding.ignored]}" if binding.ignored else bound


_IGNORED: Mapping[str, str] = MappingProxyType(
    {"drained": "is drained: another is chosen", "refused of late": "refused of late: another is chosen"}
)


def _scheduler(client: str, foresight: Foresight) -> str:
    candidates = foresight.candidates
    if not candidates and foresight.keyed_by == "source" and not client:
        return "the client's address decides: name one with --from"
    if not candidates:
        return "no endpoint may take another connection"
    if len(candidates) > 1:
        return f"one of {len(candidates)} endpoints, {_DRAWS.get(foresight.scheduler, 'drawn')}: nobody can know which"
    return _REASONS[foresight.scheduler].format(candidates[0].endpoint)


def _counted(endpoints: int) -> str:
    return f"{endpoints} endpoint{'' if endpoints == 1 else 's'}"
