"""The path in a real kernel: any sequence of deltas and of strangers' edits ends in what the last plan alone gives."""

import subprocess
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.nftables.family import FAMILIES
from proxy.nftables.holdings import Holdings
from proxy.nftables.nftables_path import NftablesPath
from proxy.nftables.rule_table import TABLE, RuleTable
from proxy.nftables.shares import share_of
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool
from tests.nftables.conftest import MakePath
from tests.nftables.planned import frontend, pool

PLAN = Delta(
    pools=(pool(), pool("six", network="fd00::"), pool("udp", "random", protocol="UDP")),
    frontends=(
        frontend("10.96.0.1"),
        frontend("0.0.0.0", 30080, "NodePort"),
        frontend("fd96::1", pool="six"),
        frontend("10.96.0.1", 53, pool="udp", protocol="UDP"),
    ),
)


def assert_held(rules: RuleTable, holdings: Holdings) -> None:
    for family in FAMILIES:
        chains, elements = rules.read(family)
        assert chains == holdings.chains(family).keys()
        assert elements == holdings.contents(family)


def expected(pools: Mapping[str, Pool], frontends: Mapping[FrontendKey, Frontend]) -> Holdings:
    holdings = Holdings()
    served = {key: each for key, each in frontends.items() if any(t.weight for t in pools[each.pool].targets)}
    holdings.update({key: share_of(each, pools[each.pool]) for key, each in served.items()})
    return holdings


def nft(*command: str) -> str:
    return subprocess.run(["nft", *command], check=True, capture_output=True, text=True, timeout=20).stdout


POOLS = st.builds(
    lambda key, scheduler, weights: pool(key, scheduler, tuple(weights), "fd00::" if key == "six" else "10.244.0."),
    st.sampled_from(("a", "b", "six")),
    st.sampled_from(("rr", "wrr", "random", "sh", "dh")),
    st.lists(st.integers(0, 3), max_size=4),
)
FRONTENDS = st.builds(
    lambda place, key: frontend(place[0], place[1], place[2], key),
    st.sampled_from((("10.96.0.1", 80, "ClusterIP"), ("0.0.0.0", 30080, "NodePort"), ("10.0.0.9", 80, "LoadBalancer"))),
    st.sampled_from(("a", "b")),
) | st.builds(
    lambda place: frontend(place[0], place[1], place[2], "six"),
    st.sampled_from((("fd96::1", 80, "ClusterIP"), ("::", 30080, "NodePort"))),
)
EDIT = st.sampled_from(("", "", "flush", "delete", "restart"))
STEPS = st.lists(st.tuples(st.lists(POOLS, max_size=2), st.lists(FRONTENDS, max_size=3), EDIT), min_size=1, max_size=5)


@pytest.mark.requires("nft")
@given(STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_steps_end_in_what_the_last_plan_gives(
    rules: RuleTable, make_path: MakePath, steps: list[tuple[list[Pool], list[Frontend], str]]
) -> None:
    pools = {key: pool(key, network="fd00::" if key == "six" else "10.244.0.") for key in ("a", "b", "six")}
    frontends: dict[FrontendKey, Frontend] = {}
    path = make_path(keep_rules=True)
    path.apply(Delta(pools=tuple(pools.values())))
    for new_pools, new_frontends, edit in steps:
        pools |= {each.key: each for each in new_pools}
        wanted = {each.key: each for each in new_frontends}
        removed = tuple(frontends.keys() - wanted.keys())
        frontends = wanted
        path = disturbed(path, edit, rules, make_path)
        if edit == "restart":
            path.apply(Delta(pools=tuple(pools.values()), frontends=tuple(frontends.values())))
        else:
            path.apply(
                Delta(pools=tuple(pools.values()), frontends=tuple(frontends.values()), removed_frontends=removed)
            )
        path.tend()
        assert_held(rules, expected(pools, frontends))
    path.close()


def disturbed(path: NftablesPath, edit: str, rules: RuleTable, make_path: MakePath) -> NftablesPath:
    """The path to go on with after somebody's edit."""
    if edit == "flush":
        nft("flush", "map", "ip", TABLE, "endpoints")
    elif edit == "delete":
        rules.remove()
    elif edit == "restart":
        path.close()
        return make_path(keep_rules=True)
    return path


@pytest.mark.requires("nft")
def test_nft_lists_the_tables_with_names_that_people_know(make_path: MakePath) -> None:
    make_path().apply(PLAN)
    four, six = nft("list", "table", "ip", TABLE), nft("list", "table", "ip6", TABLE)
    assert '10.96.0.1 . tcp . 80 comment "default/web:http ClusterIP" : goto rr_3_turn' in four
    assert '10.96.0.1 . tcp . 80 . 0x00000001 comment "web-2" : 10.244.0.2 . 8080' in four
    assert "ip daddr . meta l4proto . th dport vmap @services" in four
    assert "dnat ip6 to ip6 daddr . meta l4proto . th dport . numgen inc mod 3 map @endpoints" in six
    assert "invalid" not in four + six


@pytest.mark.requires("nft")
@pytest.mark.parametrize(
    "command",
    [
        ("flush", "ruleset"),
        ("flush", "chain", "ip", TABLE, "prerouting"),
        ("flush", "map", "ip6", TABLE, "services"),
        ("add", "element", "ip", TABLE, "reached", "{ 192.0.2.1 }"),
    ],
    ids=" ".join,
)
def test_a_strangers_edit_is_mended_at_the_next_look(
    rules: RuleTable, make_path: MakePath, command: tuple[str, ...]
) -> None:
    path = make_path()
    path.apply(PLAN)
    before = nft("-s", "list", "ruleset")
    path.tend()
    assert path.mended == 0
    nft(*command)
    path.tend()
    assert path.mended == 1
    assert sorted(nft("-s", "list", "ruleset").split()) == sorted(before.split())
    path.tend()
    assert path.mended == 1


@pytest.mark.requires("nft")
def test_another_programs_tables_are_nobodys_edit_and_stay(rules: RuleTable, make_path: MakePath) -> None:
    path = make_path()
    path.apply(PLAN)
    nft("add", "table", "ip", "theirs")
    path.tend()
    assert path.mended == 0
    path.remove()
    assert nft("list", "tables").split() == ["table", "ip", "theirs"]


@pytest.mark.requires("nft")
def test_a_table_of_our_name_and_another_shape_is_written_anew(rules: RuleTable, make_path: MakePath) -> None:
    nft("add", "table", "ip", TABLE)
    nft("add", "set", "ip", TABLE, "services", "{ type ipv4_addr; }")
    path = make_path()
    path.apply(PLAN)
    assert_held(rules, path.holdings)


def test_kept_rules_outlive_their_process_and_are_adopted(rules: RuleTable, make_path: MakePath) -> None:
    first = make_path(keep_rules=True)
    first.apply(PLAN)
    first.remove()
    assert_held(rules, first.holdings)
    second = make_path()
    second.apply(Delta(pools=(pool(),), frontends=(frontend("10.96.0.1"),)))
    assert_held(rules, second.holdings)
    assert second.mended == 0


def test_rules_that_are_not_kept_serve_nobody_new_and_go_at_the_end(rules: RuleTable, make_path: MakePath) -> None:
    path = make_path()
    path.apply(PLAN)
    path.close()
    assert rules.exists()
    assert_held(rules, Holdings())
    path.remove()
    assert not rules.exists()


def test_without_capabilities_the_reason_is_told_and_nothing_is_tried_at_once(
    make_path: MakePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    path = make_path(clock=lambda: now)
    attempts = []

    def refuse(_: RuleTable, holdings: Holdings) -> bool:
        attempts.append(holdings)
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(RuleTable, "adopt", refuse)
        patched.setattr(RuleTable, "write", refuse)
        path.apply(PLAN)
        path.tend()
        assert len(attempts) == 1
        assert (
            path.refusal(PLAN.frontends[0], PLAN.pools[0]) == "the kernel refuses its tables: Operation not permitted"
        )
    now = 6.0
    path.tend()
    assert path.refusal(PLAN.frontends[0], PLAN.pools[0]) == ""
