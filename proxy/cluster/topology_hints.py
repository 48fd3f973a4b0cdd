"""Zone hints of the annotation service.kubernetes.io/topology-mode: Auto, by the processors of each zone: pure.

Follows the EndpointSlice controller (k8s.io/endpointslice, topologycache; KEP-2433). Every endpoint is hinted for its
own zone first. Then zones that have more of them than their part of the processors give some to zones that have fewer.
Invariant: either every ready endpoint has a hint or none has; equal input gives equal hints, where the controller
depends on the order of a Go map.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Final

import msgspec

from proxy.model.endpoint_slice import Endpoint, EndpointHints, ZoneHint
from proxy.model.node import Node
from proxy.model.service import Service
from proxy.model.service_validation import TOPOLOGY_HINTS_ANNOTATION, TOPOLOGY_MODE_ANNOTATION

_OVERLOAD: Final = 0.2
"""How much more than its part an endpoint may have to carry."""

CpuRatios = Mapping[str, float]
"""The part of all processors that each zone has; empty where hints cannot be given."""


def wants_hints(service: Service) -> bool:
    """Whether the Service asks for hints by zone. The older annotation wins."""
    annotations = service.metadata.annotations
    value = annotations.get(TOPOLOGY_HINTS_ANNOTATION, annotations.get(TOPOLOGY_MODE_ANNOTATION, ""))
    return value in ("Auto", "auto")


def cpu_ratios(nodes: Iterable[Node]) -> CpuRatios:
    """Each zone's part of the processors. It is empty for fewer than two zones, and where a node lacks its zone or its
    processors: nodes that are not ready or of the control plane do not count."""
    by_zone: dict[str, int] = {}
    for node in nodes:
        if node.has_control_plane or not node.is_ready:
            continue
        if not node.zone or not node.millicpu:
            return {}
        by_zone[node.zone] = by_zone.get(node.zone, 0) + node.millicpu
    total = sum(by_zone.values())
    return {zone: by_zone[zone] / total for zone in sorted(by_zone)} if len(by_zone) > 1 else {}


def with_zone_hints(endpoints: Sequence[Endpoint], ratios: CpuRatios) -> tuple[Endpoint, ...]:
    """The endpoints of one Service and family with their hints; without any where none are possible."""
    ready = [place for place, endpoint in enumerate(endpoints) if endpoint.ready]
    zones = [endpoints[place].zone or "" for place in ready]
    wanted = _wanted(len(ready), ratios)
    hinted = _redistributed(zones, wanted) if wanted and all(zones) else []
    hints = dict(zip(ready, hinted, strict=False))
    return tuple(_with_hint(endpoint, hints.get(place, "")) for place, endpoint in enumerate(endpoints))


def _with_hint(endpoint: Endpoint, zone: str) -> Endpoint:
    return msgspec.structs.replace(endpoint, hints=EndpointHints(for_zones=(ZoneHint(zone),)) if zone else None)


def _wanted(endpoints: int, ratios: CpuRatios) -> dict[str, float]:
    """How many endpoints each zone should have; empty where some endpoint would have to carry too much."""
    if not ratios or len(ratios) > endpoints:
        return {}
    parts = {zone: ratio * endpoints for zone, ratio in ratios.items()}
    least = {zone: ceil(part * (1 / (1 + _OVERLOAD))) for zone, part in parts.items()}
    if sum(least.values()) > endpoints:
        return {}
    return {zone: max(part, float(least[zone])) for zone, part in parts.items()}


def _redistributed(zones: Sequence[str], wanted: Mapping[str, float]) -> list[str]:
    """The zone that each endpoint is hinted for, given the one where it is."""
    giving, receiving = _moves(zones, wanted)
    hinted = []
    for zone in zones:
        if giving.get(zone):
            giving[zone] -= 1
            zone = next(each for each, number in receiving.items() if number)
            receiving[zone] -= 1
        hinted.append(zone)
    return hinted


def _moves(zones: Sequence[str], wanted: Mapping[str, float]) -> tuple[dict[str, int], dict[str, int]]:
    """How many endpoints each zone gives away, and how many each receives; as many in all."""
    more = {zone: zones.count(zone) - want for zone, want in wanted.items() if zones.count(zone) > want}
    less = {zone: want - zones.count(zone) for zone, want in wanted.items() if zones.count(zone) < want}
    giving, receiving = dict.fromkeys(more, 0), dict.fromkeys(less, 0)
    while more and less:
        giver, taker = max(more, key=more.__getitem__), max(less, key=less.__getitem__)
        if min(more[giver], less[taker]) < 0.5 or max(more[giver], less[taker]) < 1.0:
            break
        giving[giver] += 1
        more[giver] -= 1
        receiving[taker] += 1
        less[taker] -= 1
    return giving, receiving
