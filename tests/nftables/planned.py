"""Pools and frontends of the tests of nftables."""

from proxy.plan.frontend import Frontend, FrontendKey, Pool, Target


def pool(
    key: str = "web",
    scheduler: str = "rr",
    weights: tuple[int, ...] = (1, 1, 1),
    network: str = "10.244.0.",
    affinity: int = 0,
    protocol: str = "TCP",
) -> Pool:
    """A pool of port 8080 on the first addresses of the network."""
    targets = tuple(
        Target(f"{network}{number}", 8080, weight, f"web-{number}") for number, weight in enumerate(weights, start=1)
    )
    return Pool(key, "default/web", "http", protocol, scheduler, key, affinity, 5.0, 0.0, targets)


def frontend(
    address: str,
    port: int = 80,
    kind: str = "ClusterIP",
    pool: str = "web",
    ranges: tuple[str, ...] = (),
    protocol: str = "TCP",
    own_pool: str = "",
) -> Frontend:
    """A frontend of the pool."""
    key = FrontendKey(protocol, address, port)
    return Frontend(key, pool, "default/web", kind, source_ranges=ranges, own_pool=own_pool)
