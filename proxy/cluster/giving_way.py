"""Giving way: which Services of manifests move, so that others get the addresses and ports that they state.

What a manifest states comes before what was given out earlier. A Service that no longer states what it holds gives it
up to one that does, in circles as well: two Services may exchange their node ports. Invariant: pure; nobody moves for
a number that its holder states too, and of several who state one number only the first moves.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set

from proxy.cluster.ledger import Grant, no_grant
from proxy.model.changes import ObjectKey
from proxy.model.service import Service

Resource = str | int
"""A ClusterIP, or a number that is some port's."""


def moves_for(
    refused: Iterable[ObjectKey],
    newest: Mapping[ObjectKey, Service],
    grants: Mapping[ObjectKey, Grant],
    fixed: Set[ObjectKey] = frozenset(),
) -> Mapping[ObjectKey, Set[Resource]]:
    """The Services to admit together so that `refused` ones come in, and what each of them gives up beforehand.

    `newest` is what the manifests say of every Service, `grants` is what each holds now. Those that are `fixed` do not
    move. It is empty where nobody's move helps.
    """
    holders = {resource: key for key, grant in grants.items() for resource in held_by(grant)}
    movers = {key: stated_by(newest[key]) - held_by(grants.get(key) or no_grant(key)) for key in refused}
    for key in fixed & movers.keys():
        del movers[key]
    for key in _blocked(movers, holders, newest, fixed):
        del movers[key]
    gives_up: dict[ObjectKey, set[Resource]] = {}
    for key, wanted in movers.items():
        for resource in wanted & holders.keys():
            gives_up.setdefault(key, set())
            gives_up.setdefault(holders[resource], set()).add(resource)
    return gives_up


def _blocked(
    movers: Mapping[ObjectKey, Set[Resource]],
    holders: Mapping[Resource, ObjectKey],
    newest: Mapping[ObjectKey, Service],
    fixed: Set[ObjectKey],
) -> Set[ObjectKey]:
    """The movers that want what its holder keeps, and those that wait for them."""
    blocked: set[ObjectKey] = set()
    waiting: dict[ObjectKey, list[ObjectKey]] = defaultdict(list)
    claimed: set[Resource] = set()
    for key in sorted(movers):
        held = movers[key] & holders.keys()
        for resource in held:
            waiting[holders[resource]].append(key)
        if movers[key] & claimed or any(_stays(resource, holders[resource], newest, fixed) for resource in held):
            blocked.add(key)
        else:
            claimed |= movers[key]
    spreading = list(blocked)
    while spreading:
        others = [key for key in waiting[spreading.pop()] if key not in blocked]
        blocked.update(others)
        spreading += others
    return blocked


def _stays(resource: Resource, holder: ObjectKey, newest: Mapping[ObjectKey, Service], fixed: Set[ObjectKey]) -> bool:
    """Whether the holder keeps it. A holder that was not seen yet may still state it."""
    return holder in fixed or holder not in newest or resource in stated_by(newest[holder])


def held_by(grant: Grant) -> Set[Resource]:
    """The addresses and port numbers in a grant."""
    return {*grant.cluster_ips.values(), *grant.numbers}


def stated_by(service: Service) -> Set[Resource]:
    """The addresses and port numbers that the manifest of `service` asks for."""
    spec = service.spec
    stated: set[Resource] = {spec.cluster_ip, *spec.cluster_ips}
    stated |= {spec.health_check_node_port, *(port.node_port for port in spec.ports)}
    return stated - {"", "None", 0}
