"""Which frontends the shortcut may serve, and in words why it does not serve the others. Pure.

Invariant: what depends on more than the programs know is left to the relay.
"""

import msgspec

from proxy.paths.path import relay_only
from proxy.plan.frontend import Frontend, Pool
from proxy.shortcut.pool_slots import is_supported


class Circumstances(msgspec.Struct, frozen=True):
    """What the configuration asks for. `access_log` is whether each flow shall be logged."""

    access_log: bool = False


def as_met_here(frontend: Frontend) -> Frontend:
    """The frontend as clients of this machine meet it, and whoever passes the programs is one: policy Local is for
    others."""
    if not frontend.own_pool:
        return frontend
    return msgspec.structs.replace(frontend, pool=frontend.own_pool, when_empty="refuse")


def refusal(frontend: Frontend, pool: Pool, circumstances: Circumstances) -> str:
    """Why the relay serves this frontend, or an empty string where the shortcut may."""
    asked = relay_only(pool)
    if asked:
        return asked
    if circumstances.access_log:
        return "the access log needs the relay"
    if frontend.source_ranges:
        return "loadBalancerSourceRanges need the relay: a client's address is not known before it connects"
    if pool.protocol == "TCP" and pool.idle_timeout:
        return "an idle limit for TCP needs the relay"
    if not is_supported(pool.scheduler):
        return f"the scheduler {pool.scheduler} needs the relay"
    return ""
