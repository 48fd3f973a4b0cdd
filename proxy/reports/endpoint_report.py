"""The endpoints of a Service by what becomes of new clients there."""

import msgspec


class ServiceEndpoints(msgspec.Struct, frozen=True, gc=False):
    """How many are `ready`, `failing` (set aside for a while, since they refused) and `draining` (of weight 0)."""

    namespace: str
    service: str
    ready: int
    failing: int
    draining: int
