"""What a running svcproxy holds, as it reports it itself: the sign that a change has reached the data plane.

Invariant: a Service that is not known yet has no endpoints and no settings, which is no error.
"""

from typing import Any

from tests.system.harness.svcproxy import Svcproxy


def held_services(proxy: Svcproxy) -> dict[str, Any]:
    """The reports by the names of the Services."""
    return {each["service"]["metadata"]["name"]: each for each in proxy.services()}


def held_endpoints(proxy: Svcproxy, name: str) -> set[str]:
    """`address:port` of each endpoint of a Service."""
    pools = held_services(proxy).get(name, {"pools": ()})["pools"]
    return {f"{endpoint['address']}:{endpoint['port']}" for pool in pools for endpoint in pool["endpoints"]}


def held_pool_settings(proxy: Svcproxy, name: str) -> list[tuple[str, int]]:
    """Scheduler and seconds of affinity (0: none) of each pool of a Service."""
    pools = held_services(proxy).get(name, {"pools": ()})["pools"]
    return [(pool["scheduler"], pool["affinitySeconds"]) for pool in pools]


def held_frontends(proxy: Svcproxy, name: str) -> set[tuple[str, int]]:
    """(address, port) of each frontend of a Service that listens."""
    frontends = held_services(proxy).get(name, {"frontends": ()})["frontends"]
    return {(each["address"], each["port"]) for each in frontends if each["listening"]}
