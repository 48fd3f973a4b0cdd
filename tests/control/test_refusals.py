"""Which pools have no endpoint that takes a flow, from counts alone."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.control.refusals import Refusals
from proxy.plan.frontend import Pool, Target
from proxy.reports.live_frame import EndpointCounts

TWO = (Target("10.0.0.1", 80), Target("10.0.0.2", 80))
WEB = Pool("default/web:http/TCP/IPv4", "default/web", "http", "TCP", "rr", "web", 0, 5.0, 0.0, TWO)
LOCAL = replace(WEB, key=f"{WEB.key}/local", targets=TWO[:1])
DNS = replace(WEB, protocol="UDP")


def counts(opened: int = 0, failed: int = 0, sent: int = 0) -> EndpointCounts:
    return EndpointCounts(opened=opened, failed=failed, sent=sent)


@dataclass
class Scene:
    """Refusals of some pools."""

    pools: tuple[Pool, ...] = (WEB,)

    def __post_init__(self) -> None:
        self.refusals = Refusals()

    def look(self, *changes: tuple[Pool, dict[int, EndpointCounts]]) -> list[str]:
        for pool, changed in changes:
            self.refusals.observe(pool, changed)
        return [pool.key for pool in self.refusals.failing({pool.key: pool for pool in self.pools})]


def test_a_pool_fails_when_every_endpoint_refused_and_until_one_takes_a_flow() -> None:
    scene = Scene()
    assert scene.look((WEB, {0: counts(failed=1)})) == []
    assert scene.look((WEB, {1: counts(opened=9)})) == []
    assert scene.look((WEB, {1: counts(opened=9, failed=1)})) == [WEB.key]
    assert scene.look() == [WEB.key]
    assert scene.look((WEB, {0: counts(opened=1, failed=1)})) == []


def test_a_connect_in_progress_that_fails_later_is_no_sign_of_life() -> None:
    """The shortcut counts it as taken at first, beside others that fail at the same time."""
    scene = Scene((replace(WEB, targets=TWO[:1]),))
    pool = scene.pools[0]
    assert scene.look((pool, {0: counts(failed=1)})) == [pool.key]
    assert scene.look((pool, {0: counts(opened=1, failed=2)})) == [pool.key]
    assert scene.look((pool, {0: counts(opened=0, failed=3)})) == [pool.key]


def test_drained_endpoints_are_not_asked_for() -> None:
    scene = Scene((replace(WEB, targets=(TWO[0], replace(TWO[1], weight=0))),))
    assert scene.look((scene.pools[0], {0: counts(failed=1)})) == [WEB.key]
    drained = Scene((replace(WEB, targets=(replace(TWO[0], weight=0),)),))
    assert drained.look((drained.pools[0], {0: counts(failed=1)})) == []


def test_an_endpoint_that_left_refuses_no_more_when_it_is_back() -> None:
    scene = Scene((replace(WEB, targets=TWO[:1]),))
    assert scene.look((scene.pools[0], {0: counts(failed=1)})) == [WEB.key]
    scene.pools = (replace(WEB, targets=TWO[1:]),)
    assert scene.look() == []
    scene.pools = (replace(WEB, targets=TWO[:1]),)
    assert scene.look() == []
    scene.pools = ()
    assert scene.look() == []


def test_a_row_that_begins_anew_counts_from_zero() -> None:
    scene = Scene((replace(WEB, targets=TWO[:1]),))
    pool = scene.pools[0]
    assert scene.look((pool, {0: counts(opened=5, failed=7)})) == []
    assert scene.look((pool, {0: counts(failed=2)})) == [pool.key]


def test_what_takes_flows_in_one_pool_refuses_in_none_of_its_port() -> None:
    scene = Scene((WEB, LOCAL))
    assert scene.look((LOCAL, {0: counts(failed=1)})) == [LOCAL.key]
    assert set(scene.look((WEB, {1: counts(failed=1)}))) == {WEB.key, LOCAL.key}
    assert scene.look((WEB, {0: counts(opened=1)})) == []


@pytest.mark.parametrize("sign", [counts(opened=1, failed=1, sent=20), counts(opened=2, failed=1)])
def test_of_a_udp_endpoint_a_reply_or_a_flow_that_was_not_refused_is_a_sign_of_life(sign: EndpointCounts) -> None:
    """A flow that is refused counts as opened as well."""
    scene = Scene((replace(DNS, targets=TWO[:1]),))
    pool = scene.pools[0]
    assert scene.look((pool, {0: counts(opened=1, failed=1)})) == [pool.key]
    assert scene.look((pool, {0: sign})) == []


LOOKS = st.lists(
    st.dictionaries(st.integers(0, 1), st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=2), max_size=12
)


@given(LOOKS)
def test_an_endpoint_is_judged_by_its_last_look_that_was_of_one_mind(looks: list[dict[int, tuple[int, int]]]) -> None:
    scene, totals, mind = Scene(), [(0, 0), (0, 0)], [True, True]
    for look in looks:
        changed = {}
        for place, (opened, failed) in look.items():
            totals[place] = (totals[place][0] + opened, totals[place][1] + failed)
            changed[place] = counts(*totals[place])
            if (opened > 0) != (failed > 0):
                mind[place] = opened > 0
        assert (scene.look((WEB, changed)) == [WEB.key]) == (mind == [False, False])
