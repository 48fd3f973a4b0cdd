"""Leaves out of a selection the endpoints that lead back to this proxy.

Invariant: what the selection chose decides; an endpoint that is left out has no other take its place, so that the
result depends on the selection and on who is where now, and on nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from proxy.plan.addresses import with_port
from proxy.plan.own_places import OwnPlaces
from proxy.plan.selection import PortEndpoint, Selection

Place = tuple[str, int]
"""The (address, port) of an endpoint."""


class LedBack(msgspec.Struct, frozen=True):
    """The endpoints of one Service port and family, named `port` for people, that are left out, each with what of
    this proxy it leads to."""

    port: str
    places: tuple[Place, ...]
    occupants: tuple[str, ...]

    def __str__(self) -> str:
        more = f" (and {len(self.places) - 1} more)" if len(self.places) > 1 else ""
        return (
            f"endpoint {with_port(*self.places[0])}{more} of {self.port} is {self.occupants[0]}, so connections would "
            "come back to this proxy: it is left out; name endpoints that answer themselves"
        )


def occupied(selection: Selection, service: str, protocol: str, own: OwnPlaces) -> dict[Place, str]:
    """The endpoints of a port of the Service ("namespace/name") that lead back, each with where it leads."""
    found: dict[Place, str] = {}
    for each in (*selection.cluster, *selection.local, *selection.draining):
        occupant = own.occupant(service, protocol, each.address, each.port)
        if occupant:
            found[each.address, each.port] = occupant
    return found


def without(selection: Selection, found: Mapping[Place, str]) -> Selection:
    """The selection without these endpoints."""
    if not found:
        return selection
    cluster, local = _kept(selection.cluster, found), _kept(selection.local, found)
    return replace(
        selection,
        cluster=cluster,
        local=local,
        draining=_kept(selection.draining, found),
        cluster_reason=_reason(selection.cluster_reason, len(selection.cluster) - len(cluster)),
        local_reason=_reason(selection.local_reason, len(selection.local) - len(local)),
    )


def led_back(port: str, found: Mapping[Place, str], used: Iterable[PortEndpoint]) -> tuple[LedBack, ...]:
    """What is to be told of those that some pool would use: one or nothing."""
    places = [place for place in dict.fromkeys((each.address, each.port) for each in used) if place in found]
    return (LedBack(port, tuple(places), tuple(found[place] for place in places)),) if places else ()


def _kept(endpoints: Sequence[PortEndpoint], left_out: Mapping[Place, str]) -> tuple[PortEndpoint, ...]:
    return tuple(each for each in endpoints if (each.address, each.port) not in left_out)


def _reason(reason: str, left_out: int) -> str:
    if not left_out:
        return reason
    own = f"{left_out} endpoint{'s lead' if left_out > 1 else ' leads'} back to this proxy"
    return f"{reason}; {own}" if reason else own
