"""The vocabulary of the data plane: backends, pools, frontends, and the message that changes them.

Invariant: everything here is immutable, comparable and travels as msgpack, so an unchanged
Service gives an equal value and therefore no message.
"""

from typing import NamedTuple

import msgspec

ServicePort = tuple[str, str, str]
"""A port of a Service as people count it: Service, name of the port, protocol."""


class Target(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One endpoint as a pool uses it. `pod` is a name for people (log, tables), never an identity.

    Identity is (address, port). A weight of 0 drains: no new flow, old ones stay.
    """

    address: str
    port: int
    weight: int = 1
    pod: str = ""


class Pool(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The endpoints of one Service port in one family, with how to choose among them.

    `key` is unique among pools, for example `default/myapp:http/TCP/IPv4` (with `/local` appended for the node-local
    set). `affinity_key` names the ClientIP table, shared by the pools of one Service port and family, so that
    ClusterIP and NodePort agree. `affinity_seconds` 0 means no affinity. Timeouts are seconds; an `idle_timeout` of 0
    means no limit. `targets` are sorted by the string `ip:port`, as kube-proxy sorts them. `draining` are the
    (address, port) of endpoints that terminate but still serve and are no targets: UDP flows to them go on.

    `path` is what the Service asks for: "relay", "kernel", or empty for what the configuration says. `needs` names what
    it asks for that only the relay has, such as a connect timeout of its own.
    """

    key: str
    service: str
    port_name: str
    protocol: str
    scheduler: str
    affinity_key: str
    affinity_seconds: int
    connect_timeout: float
    idle_timeout: float
    targets: tuple[Target, ...]
    draining: tuple[tuple[str, int], ...] = ()
    path: str = ""
    needs: tuple[str, ...] = ()

    @property
    def service_port(self) -> ServicePort:
        """What it is a pool of, with those of the other family and of another policy."""
        return self.service, self.port_name, self.protocol


class FrontendKey(NamedTuple):
    """What a frontend is: one protocol ("TCP" or "UDP"), address and port. "0.0.0.0" and "::" mean every local
    address of that family."""

    protocol: str
    address: str
    port: int


class Frontend(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One listening address and the pool behind it.

    `kind` is for people: ClusterIP, NodePort, ExternalIP or LoadBalancer. `when_empty` is "refuse" (no endpoint
    anywhere: the client is refused at once) or "drop" (policy Local and endpoints on other nodes: silence, so that a
    client's retry reaches another node). `source_ranges` are CIDRs; an empty tuple lets every source in. `own_pool` is
    the pool for clients of this machine, which come from the CIDRs `own_sources`, where it is another one: empty
    otherwise.
    """

    key: FrontendKey
    pool: str
    service: str
    kind: str
    when_empty: str = "refuse"
    source_ranges: tuple[str, ...] = ()
    own_pool: str = ""
    own_sources: tuple[str, ...] = ()


class Delta(msgspec.Struct, frozen=True, array_like=True):
    """What changed between two plans; applying it in the order of its fields is always safe.

    `pools` and `frontends` are added or replaced as a whole under their keys.
    """

    pools: tuple[Pool, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    removed_frontends: tuple[FrontendKey, ...] = ()
    removed_pools: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pools or self.frontends or self.removed_frontends or self.removed_pools)
