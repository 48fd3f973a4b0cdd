"""PathList: every path hears every delta once, and the relay stands behind what they do not serve."""

from collections.abc import Callable

import pytest

from proxy.paths.path import Path, relay_only
from proxy.paths.path_list import PathList
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target

POOL = Pool("web", "default/web", "", "TCP", "rr", "web", 0, 5.0, 0.0, (Target("127.0.0.1", 9),))
FRONTEND = Frontend(FrontendKey("TCP", "127.96.0.1", 80), "web", "default/web", "ClusterIP")


class RecordedPath:
    """A kernel path that notes what it is told."""

    def __init__(self, path: Path, refuse: Callable[[Pool], str] = lambda _: "") -> None:
        self.path = path
        self.deltas: list[Delta] = []
        self.closed = False
        self.tended = 0
        self._refuse = refuse

    def apply(self, delta: Delta) -> None:
        self.deltas.append(delta)

    def refusal(self, frontend: Frontend, pool: Pool) -> str:
        return self._refuse(pool)

    def tend(self) -> None:
        self.tended += 1

    def close(self) -> None:
        self.closed = True


def test_without_a_kernel_path_everything_is_relayed() -> None:
    assert PathList().of(FRONTEND, POOL) == (("relay",), ())


def test_a_shortcut_serves_local_clients_and_the_relay_all_others() -> None:
    assert PathList([RecordedPath(Path.SHORTCUT)]).of(FRONTEND, POOL).paths == ("shortcut", "relay")


@pytest.mark.parametrize("path", [Path.NFTABLES, Path.IPVS])
def test_a_path_for_packets_leaves_nobody_to_the_relay(path: Path) -> None:
    assert PathList([RecordedPath(path)]).of(FRONTEND, POOL).paths == (path,)


def test_a_path_that_does_not_serve_a_frontend_says_why() -> None:
    paths = PathList([RecordedPath(Path.SHORTCUT, relay_only), RecordedPath(Path.NFTABLES, lambda _: "no nf_tables")])
    relayed = Pool(**{name: getattr(POOL, name) for name in POOL.__struct_fields__} | {"path": "relay"})
    assert paths.of(FRONTEND, relayed) == (
        ("relay",),
        ("shortcut: the annotation svcproxy.io/path asks for the relay", "nftables: no nf_tables"),
    )


def test_every_path_is_told_every_delta_in_order() -> None:
    first, second = RecordedPath(Path.SHORTCUT), RecordedPath(Path.NFTABLES)
    paths = PathList([first])
    paths.apply(Delta(pools=(POOL,)))
    paths.add(second, {POOL.key: POOL}, [FRONTEND])
    paths.apply(Delta(removed_pools=("web",)))
    assert first.deltas == [Delta(pools=(POOL,)), Delta(removed_pools=("web",))]
    assert second.deltas == [Delta(pools=(POOL,), frontends=(FRONTEND,)), Delta(removed_pools=("web",))]


def test_closed_paths_are_told_nothing_more() -> None:
    path = RecordedPath(Path.SHORTCUT)
    paths = PathList([path])
    paths.close()
    paths.apply(Delta(pools=(POOL,)))
    assert path.closed
    assert path.deltas == []
    assert paths.of(FRONTEND, POOL).paths == ("relay",)


def test_a_need_of_the_relay_is_named() -> None:
    needing = Pool(**{name: getattr(POOL, name) for name in POOL.__struct_fields__} | {"needs": ("idle limit",)})
    assert relay_only(needing) == "only the relay has what the Service asks for: idle limit"
    assert relay_only(POOL) == ""
